"""Engines that are built of source as packages over nixpkgs' `llama-cpp`: an overlay.

Written for nixpkgs of 2025 and 2026 (`cudaSupport`); the names of llama.cpp's own flake
(`useCuda`) are understood too. It needs no import-from-derivation. The web page is left out, as it
is of every engine that we build: so there is no `npmDepsHash` to know.
"""

import re
from collections.abc import Iterator, Mapping

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects import nix
from llmdecl.engines.llama_cpp.recipe import ARCHIVES, BuildRecipe, SourceArchive
from llmdecl.plan.model import Plan

PATH = "nix/overlay.nix"

NAME_PREFIX = "llmdecl-"
"""Before an engine's name, so that no package of nixpkgs is replaced."""

_PASSED = re.compile(r"(?:GGML|LLAMA)_\w+|CMAKE_(?:CUDA|HIP)_ARCHITECTURES")
"""CMake options that are llama.cpp's; compilers, folders and linking are nixpkgs' business."""

_HEAD = r"""# Engines of this stack as packages over nixpkgs' `llama-cpp`, by llmdecl from its lock:
#   nixpkgs.overlays = [ (import ./overlay.nix) ];
#
# `src` is llama.cpp's tree by the hash of its Nix archive, which llmdecl works out itself, without
# the `.git` that a source distribution may carry and that leads nowhere. The
# `fetchFromGitHub` of nixpkgs' package asks git for the commit before it hashes, so its hash is
# known to nobody but Nix.
final: prev:
let
  inherit (prev) lib;

  tree =
    {
      name,
      archive,
      root,
      hash,
      unpack,
    }:
    prev.runCommand name
      {
        inherit archive root;
        nativeBuildInputs = unpack.inputs prev;
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
        outputHash = hash;
      }
      ''
        mkdir unpacked
        ${unpack.command}
        chmod -R u+w unpacked
        rm -rf "unpacked/$root/.git"
        mv "unpacked/$root" "$out"
      '';

  tar = {
    inputs = _: [ ];
    command = ''tar --extract --file "$archive" --directory unpacked'';
  };
  zip = {
    inputs = packages: [ packages.unzip ];
    command = ''unzip -q "$archive" -d unpacked'';
  };

  # by their names in nixpkgs, then in llama.cpp's own flake
  switches = {
    blas = [
      "blasSupport"
      "useBlas"
    ];
    cuda = [
      "cudaSupport"
      "useCuda"
    ];
    hip = [
      "rocmSupport"
      "useRocm"
    ];
    metal = [
      "metalSupport"
      "useMetalKit"
    ];
    sycl = [ "syclSupport" ];
    vulkan = [
      "vulkanSupport"
      "useVulkan"
    ];
  };

  engine =
    {
      name,
      version,
      src,
      backends,
      dispatch,
      cmakeFlags,
      spacedFlags,
    }:
    let
      takes = lib.functionArgs prev.llama-cpp.override;
      absent = builtins.filter (
        backend: !(builtins.any (argument: takes ? ${argument}) switches.${backend})
      ) backends;
      wanted =
        builtins.listToAttrs (
          builtins.concatMap (
            switch:
            map (argument: {
              name = argument;
              value = builtins.elem switch backends;
            }) switches.${switch}
          ) (builtins.attrNames switches)
        )
        // {
          cpuArchDynamicDispatch = dispatch;
          useWebUi = false;
          # GGML_RPC is a flag like others. Told so, nixpkgs' package copies a server that newer
          # builds call by another name, and install themselves.
          rpcSupport = false;
          useRpc = false;
        };
      package = prev.llama-cpp.override (builtins.intersectAttrs takes wanted);
      label = input: "${input.pname or input.name or ""}-";
      isOurs = input: builtins.match "(nodejs|npm)-.*" (label input) == null;
    in
    if takes == { } then
      throw "${name}: `llama-cpp` here does not tell its arguments, so its backends can't be set"
    else if absent != [ ] then
      throw "${name}: `llama-cpp` here has no argument for ${builtins.concatStringsSep ", " absent}"
    else
      package.overrideAttrs (old: {
        inherit version src;
        # what these do is for nixpkgs' own version
        patches = [ ];
        postPatch = "";
        npmDeps = null;
        nativeBuildInputs = builtins.filter isOurs (old.nativeBuildInputs or [ ]);
        cmakeFlags = (old.cmakeFlags or [ ]) ++ cmakeFlags;
        preConfigure =
          if spacedFlags == [ ] then
            ""
          else
            "cmakeFlagsArray+=(${lib.concatMapStringsSep " " lib.escapeShellArg spacedFlags})\n";
      });
in
"""


def emit(plan: Plan) -> ArtefactSet:
    """One overlay for all engines of source, when there are any."""
    recipes = {each.name: each.recipe for each in plan.engines if each.recipe is not None}
    return (Artefact(path=PATH, text=overlay(recipes)),) if recipes else ()


def texts(recipe: BuildRecipe) -> Iterator[str]:
    """Every text of a recipe that Nix has to carry."""
    archive = recipe.archive
    yield from (recipe.version, archive.origin, archive.file_name, archive.root)
    for pair in recipe.options.items():
        yield from pair


def overlay(recipes: Mapping[str, BuildRecipe]) -> str:
    """`final: prev: { llmdecl-NAME = ...; }`; raises ValueError for what Nix can't carry."""
    engines = {f"{NAME_PREFIX}{name}": each for name, each in sorted(recipes.items())}
    lines = ["{"]
    for name, recipe in engines.items():
        lines += [f"  {line}" for line in _comments(recipe)]
        table = nix.render(_engine(name, recipe), "  ")
        lines.append(f"  {nix.attribute(name)} = engine {table};")
    return _HEAD + "\n".join((*lines, "}")) + "\n"


def _comments(recipe: BuildRecipe) -> Iterator[str]:
    yield nix.comment(f"llama.cpp {recipe.version}, for {' '.join(recipe.backends or ('cpu',))}")
    if "cuda" in recipe.backends:
        words = "".join(f' "{each}"' for each in capabilities(recipe.architectures))
        yield nix.comment(
            f"nixpkgs.config = {{ allowUnfree = true; cudaCapabilities = [{words} ]; }}"
        )
    if recipe.cpu == "native":
        yield nix.comment("no code for one processor alone: builds of Nix are for any machine")
    left = sorted(name for name in recipe.options if not _is_passed(name, recipe))
    if left:
        yield nix.comment(f"left to nixpkgs: {' '.join(left)}")


def _engine(name: str, recipe: BuildRecipe) -> Mapping[str, nix.Value]:
    archive = recipe.archive
    flags = [f"-D{key}={value}" for key, value in _cmake(recipe).items()]
    spaced = [flag for flag in flags if any(each.isspace() for each in flag)]
    return {
        "name": name,
        "version": str(archive.build) if archive.build else recipe.version.lstrip("bv"),
        "src": nix.Expression(_source(recipe)),
        "backends": [
            *(["blas"] if recipe.options.get("GGML_BLAS") == "ON" else []),
            *(backend for backend in recipe.backends if backend not in ("cpu", "rpc")),
        ],
        "dispatch": recipe.cpu == "dispatch",
        "cmakeFlags": [flag for flag in flags if flag not in spaced],
        "spacedFlags": spaced,
    }


def _source(recipe: BuildRecipe) -> str:
    """The tree out of its archive; a folder of somebody's machine is asked for as it is."""
    archive = recipe.archive
    if nix.sri(archive.sha256) == archive.nar_hash:
        return _required(archive, "recursive")
    zipped = archive.file_name.endswith(".zip")
    tree: dict[str, nix.Value] = {
        "name": nix.store_name(f"llama.cpp-{recipe.version}-source"),
        "archive": nix.Expression(_archive(archive)),
        "root": archive.root,
        "hash": archive.nar_hash,
        "unpack": nix.Expression("zip" if zipped else "tar"),
    }
    return f"tree {nix.render(tree, '    ')}"


def _required(archive: SourceArchive, mode: str) -> str:
    """What nothing on the network has: Nix says how to add it to its store."""
    name, recursive = nix.store_name(archive.file_name), mode == "recursive"
    command = f"nix-store --add-fixed {'--recursive ' if recursive else ''}sha256"
    held: dict[str, nix.Value] = {
        "name": name,
        "sha256": archive.sha256,
        "message": f"`{command} {name}` adds `{archive.origin}` of llmdecl's spec"
        + (", which has to be without `.git`" if recursive else ""),
        **({"hashMode": mode} if recursive else {}),
    }
    return f"prev.requireFile {nix.render(held, '    ' if recursive else '      ')}"


def _archive(archive: SourceArchive) -> str:
    """What brings the archive, by its own hash."""
    name, origin = nix.store_name(archive.file_name), archive.origin
    if origin.startswith("file:"):
        return _required(archive, "flat")
    if origin.startswith("pypi:"):
        package = archive.file_name.rpartition("-")[0]
        url = f"mirror://pypi/{package[:1]}/{package}/{archive.file_name}"
    elif re.fullmatch(r"[bv][0-9.]+", origin):
        url = ARCHIVES.format(ref=f"refs/tags/{origin}")
    elif re.fullmatch(r"[0-9a-f]{40}", origin):
        url = ARCHIVES.format(ref=origin)
    else:
        url = origin.partition("#")[0]
    table = {"name": name, "url": url, "hash": nix.sri(archive.sha256)}
    return f"prev.fetchurl {nix.render(table, '      ')}"


def _cmake(recipe: BuildRecipe) -> Mapping[str, str]:
    """What is passed after nixpkgs' own flags, and so instead of them; sorted."""
    archive = recipe.archive
    commit = (archive.commit or "unknown")[:9]
    own = {name: value for name, value in recipe.options.items() if _is_passed(name, recipe)}
    merged = {
        "LLAMA_BUILD_NUMBER": str(archive.build or 0),
        "LLAMA_BUILD_COMMIT": commit,
        **own,
        "GGML_CCACHE": "OFF",
        "GGML_NATIVE": "OFF",
        "LLAMA_BUILD_UI": "OFF",
        "LLAMA_USE_PREBUILT_UI": "OFF",
    }
    return dict(sorted(merged.items()))


def _is_passed(name: str, recipe: BuildRecipe) -> bool:
    """Whether an option is llama.cpp's, or the spec's own words."""
    return _PASSED.fullmatch(name) is not None or name in recipe.asked


def capabilities(architectures: tuple[str, ...]) -> tuple[str, ...]:
    """`sm_86` and `compute_120` as nixpkgs has them: `8.6`, `12.0`; each once."""
    found: dict[str, None] = {}
    for each in architectures:
        match = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)([a-z]?)", each)
        if match is not None:
            found[f"{match[1]}.{match[2]}{match[3]}"] = None
    return tuple(found)
