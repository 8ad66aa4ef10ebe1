"""The overlay of engines that are built of source, evaluated by Nix over our stand-in."""

import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from llmdecl.emit.nix_overlay import capabilities, overlay
from llmdecl.store.nar import nar_hash
from tests.nix.nix import STAND_IN
from tests.nix.recipes import NAR, RECIPES, SDIST, archive, recipe


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("overlay") / "overlay.nix"
    path.write_text(overlay(RECIPES))
    return path


def packages(path, config="{ }", then="[ ]"):
    """The stand-in with the overlay, and further overlays."""
    said = STAND_IN  # no package here is built
    return (
        f"import {STAND_IN} {{ config = {config}; said = {said}; "
        f"overlays = [ (import {path}) ] ++ {then}; }}"
    )


FACTS = """
  packages: builtins.mapAttrs (name: engine: {
    inherit (engine) version cmakeFlags npmDeps patches postPatch postInstall preConfigure;
    name = engine.name;
    source = engine.src.outputHash;
    sourceName = engine.src.name;
    root = engine.src.root;
    archive = engine.src.archive.url or engine.src.archive.message;
    archiveHash = engine.src.archive.outputHash;
    inputs = map (each: each.name) (builtins.filter (each: each != null) engine.nativeBuildInputs);
    derivation = engine.drvPath;
  }) (removeAttrs packages (builtins.filter (name: builtins.match "llmdecl-.*" name == null)
    (builtins.attrNames packages)))
"""


@pytest.fixture(scope="module")
def engines(nix, written):
    return nix.value(f"({FACTS}) ({packages(written)})")


def test_it_parses_and_names_every_engine(nix, written, engines):
    """The file is Nix, and `pkgs.llmdecl-NAME` is there for each engine of source."""
    nix.say("nix-instantiate", "--parse", written)
    assert sorted(engines) == sorted(f"llmdecl-{name}" for name in RECIPES)


def test_flags_come_last_and_say_what_the_lock_says(engines):
    """CMake takes the last of two: ours follow nixpkgs' own, and GGML_NATIVE is never on."""
    cuda = last(engines["llmdecl-cuda"]["cmakeFlags"])
    assert cuda["GGML_CUDA"] == "ON"
    assert cuda["CMAKE_CUDA_ARCHITECTURES"] == "86-real;120-real"
    assert cuda["LLAMA_BUILD_NUMBER"] == "10434"
    assert cuda["LLAMA_BUILD_COMMIT"] == "0c1e57000"
    assert cuda["LLAMA_BUILD_UI"] == "OFF"
    for engine in engines.values():
        assert last(engine["cmakeFlags"])["GGML_NATIVE"] == "OFF"
    assert "CMAKE_BUILD_TYPE" not in last(engines["llmdecl-cpu"]["cmakeFlags"])


def test_switches_of_nixpkgs(engines):
    """Backends and dispatch go through the package's arguments, and BLAS is not added."""
    assert "-DGGML_CUDA:BOOL=TRUE" in engines["llmdecl-cuda"]["cmakeFlags"]
    assert "-DGGML_BLAS:BOOL=FALSE" in engines["llmdecl-cpu"]["cmakeFlags"]
    hip = engines["llmdecl-hip"]["cmakeFlags"]
    assert "-DGGML_HIP:BOOL=TRUE" in hip
    assert last(hip)["CMAKE_HIP_ARCHITECTURES"] == "gfx1030;gfx1100"
    assert "-DGGML_VULKAN:BOOL=TRUE" in engines["llmdecl-spaced"]["cmakeFlags"]
    assert "-DGGML_CPU_ALL_VARIANTS:BOOL=TRUE" in engines["llmdecl-cpu"]["cmakeFlags"]
    assert "-DGGML_CPU_ALL_VARIANTS:BOOL=TRUE" not in engines["llmdecl-sdist"]["cmakeFlags"]


def test_source_is_the_tree_by_its_nar_hash(engines):
    """Release, archive's hash and root are the lock's; an sdist's root lies deeper."""
    engine = engines["llmdecl-cpu"]
    assert engine["source"] == NAR
    assert engine["root"] == "llama.cpp-b10434"
    assert engine["archive"].endswith("/ggml-org/llama.cpp/archive/refs/tags/b10434.tar.gz")
    assert engine["archiveHash"].startswith("sha256-q6urq6ur")
    sdist = engines["llmdecl-sdist"]
    assert sdist["root"] == SDIST.root
    assert sdist["archive"] == f"mirror://pypi/l/llama_cpp_python/{SDIST.file_name}"
    assert (sdist["version"], engine["version"]) == ("0.3.36", "10434")
    assert last(sdist["cmakeFlags"])["LLAMA_BUILD_NUMBER"] == "0"


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("v0.1.0", "https://github.com/ggml-org/llama.cpp/archive/refs/tags/v0.1.0.tar.gz"),
        ("1" * 40, f"https://github.com/ggml-org/llama.cpp/archive/{'1' * 40}.tar.gz"),
        (f"https://example.org/x.tar.gz#sha256={'ab' * 32}", "https://example.org/x.tar.gz"),
    ],
)
def test_other_origins(origin, url):
    """A release's and a commit's archive, and a web server's without what is not its address."""
    assert f'url = "{url}";' in overlay({"main": recipe(archive=archive(origin=origin))})


def test_what_is_for_nixpkgs_own_version_is_left_out(engines):
    """Its patches, what it takes from its tree, and a server by a name that later trees changed."""
    for engine in engines.values():
        assert (engine["patches"], engine["postPatch"]) == ([], "")
        assert "rpc-server" not in engine["postInstall"]
        assert "COMMIT)" not in engine["preConfigure"]
    flags = engines["llmdecl-spaced"]["cmakeFlags"]
    assert last(flags)["GGML_RPC"] == "ON"
    assert not any("CMAKE_SKIP_BUILD_RPATH" in flag for flag in flags)


def test_web_ui_is_off(engines):
    """Neither node nor its packages, whose hash only npm knows, are asked for."""
    for engine in engines.values():
        assert engine["npmDeps"] is None
        assert engine["inputs"] == ["cmake-1"]
        assert "npm" not in engine["preConfigure"]
        assert last(engine["cmakeFlags"])["LLAMA_BUILD_UI"] == "OFF"


def test_option_with_spaces_is_one_word_of_the_shell(engines, nix):
    """It goes through `cmakeFlagsArray`, because `cmakeFlags` is split at spaces."""
    engine = engines["llmdecl-spaced"]
    assert "GGML_EXTRA" not in last(engine["cmakeFlags"])
    show = 'printf "%s\\n" "${#cmakeFlagsArray[@]}" "${cmakeFlagsArray[0]}"'
    value = RECIPES["spaced"].options["GGML_EXTRA"]
    assert nix.say("bash", "-c", engine["preConfigure"] + show).split("\n") == [
        "1",
        f"-DGGML_EXTRA={value}",
    ]


def test_other_switches_of_the_instance_do_not_leak(nix, written):
    """`config.cudaSupport` of the user's nixpkgs makes no CPU engine a CUDA one."""
    expression = f"({packages(written, '{ cudaSupport = true; }')}).llmdecl-cpu.cmakeFlags"
    assert "-DGGML_CUDA:BOOL=FALSE" in nix.value(expression)


def test_names_of_llama_cpps_own_flake(nix, written):
    """Over its package the same engines come out: `useCuda`, our targets, no web UI."""
    upstream = "[ (final: prev: { llama-cpp = prev.llama-cpp-upstream; }) ]"
    base = f"overlays = {upstream} ++ [ (import {written}) ];"
    all_of = f"(import {STAND_IN} {{ said = {STAND_IN}; {base} }})"
    cuda = nix.value(f"{all_of}.llmdecl-cuda.cmakeFlags")
    assert {"-DGGML_CUDA:BOOL=TRUE", "-DLLAMA_BUILD_WEBUI:BOOL=FALSE"} <= set(cuda)
    hip = nix.value(f"{all_of}.llmdecl-hip.cmakeFlags")
    assert last(hip)["CMAKE_HIP_ARCHITECTURES"] == "gfx1030;gfx1100"


def test_backend_that_the_package_cannot(nix, tmp_path):
    """No argument of the package is for it: evaluation says so, and no CPU engine comes out."""
    path = tmp_path / "overlay.nix"
    path.write_text(overlay({"intel": recipe(backends=("sycl",))}))
    done = nix.run("nix-instantiate", "--expr", f"({packages(path)}).llmdecl-intel")
    assert done.returncode != 0
    assert "llmdecl-intel: `llama-cpp` here has no argument for sycl" in done.stderr


@pytest.mark.parametrize("root", ["llama.cpp-b10434", "package-1.0/vendor/llama.cpp", ""])
def test_the_tree_is_what_we_hashed(nix, tmp_path, root):
    """Nix unpacks the archive, and finds the hash that `nar_hash` worked out of our tree."""
    tree = tmp_path / "tree"
    (tree / "tools" / "empty").mkdir(parents=True)
    (tree / "CMakeLists.txt").write_text(f"project(llama.cpp) # in {root}\n")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    (tree / "tools" / "link").symlink_to("../run.sh")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(tree, arcname=root or ".")
        tar.addfile(tarfile.TarInfo(f"{root or '.'}/.git"))
    file = tmp_path / "archive-1.0.tar.gz"
    file.write_bytes(packed.getvalue())
    source = archive(
        origin=f"file:{file}",
        file_name=file.name,
        sha256=hashlib.sha256(packed.getvalue()).hexdigest(),
        root=root,
        nar_hash=nar_hash(tree),
    )
    path = tmp_path / "overlay.nix"
    path.write_text(overlay({"main": recipe(archive=source)}))
    words = ["nix-build", "--no-out-link", "--expr", f"({packages(path)}).llmdecl-main.src"]
    absent = nix.run(*words)
    assert absent.returncode != 0  # the archive is not in Nix's store yet
    nix.say("nix-store", "--add-fixed", "sha256", file)
    built = nix.say(*words)
    assert nar_hash(Path(built)) == source.nar_hash
    wrong = recipe(archive=source.replace(nar_hash=NAR))
    path.write_text(overlay({"main": wrong}))
    assert "hash mismatch" in nix.run(*words).stderr


def test_a_folder_of_this_machine(nix, tmp_path):
    """It has no archive: its own hash is asked for, and what `nix-store` adds is it."""
    tree = tmp_path / "llama.cpp"
    tree.mkdir()
    (tree / "CMakeLists.txt").write_text("project(of a folder)\n")
    found = nar_hash(tree)
    source = archive(
        origin=f"file:{tree}",
        file_name=tree.name,
        sha256=base64.b64decode(found.removeprefix("sha256-")).hex(),
        root="",
        nar_hash=found,
    )
    path = tmp_path / "overlay.nix"
    path.write_text(overlay({"main": recipe(archive=source)}))
    source_of = f"({packages(path)}).llmdecl-main.src"
    message = nix.value(f"{source_of}.message")
    assert "`nix-store --add-fixed --recursive sha256 llama.cpp`" in message
    added = nix.say("nix-store", "--add-fixed", "--recursive", "sha256", tree)
    assert nix.say("nix-build", "--no-out-link", "--expr", source_of) == added


def test_package_that_hides_its_arguments(nix, written):
    """Where nothing can be set, evaluation ends: the user's instance may have switched CUDA on."""
    hiding = (
        "[ (final: prev: { llama-cpp = prev.llama-cpp // { override = _: prev.llama-cpp; }; }) ]"
    )
    base = f"overlays = {hiding} ++ [ (import {written}) ];"
    expression = f"(import {STAND_IN} {{ said = {STAND_IN}; {base} }}).llmdecl-cpu"
    assert "does not tell its arguments" in nix.run("nix-instantiate", "--expr", expression).stderr


def test_goldens_evaluate(nix):
    """Every overlay that the compiler is known to write: all its engines are derivations."""
    written = sorted((Path(__file__).parents[1] / "golden").glob("*/expected/nix/overlay.nix"))
    assert written
    for path in written:
        lock = json.loads((path.parents[2] / "llmdecl.lock").read_text())
        names = [name for name, engine in lock["engines"].items() if engine.get("recipe")]
        engines = nix.value(f"({FACTS}) ({packages(path)})")
        assert sorted(engines) == sorted(f"llmdecl-{name}" for name in names)
        assert all(engine["derivation"].endswith(".drv") for engine in engines.values())


@pytest.mark.parametrize(
    ("architectures", "expected"),
    [
        (("sm_86", "sm_120"), ("8.6", "12.0")),
        (("compute_75", "sm_75", "sm_90a"), ("7.5", "9.0a")),
        (("gfx1100",), ()),
    ],
)
def test_capabilities(architectures, expected):
    """CUDA architectures as nixpkgs writes them."""
    assert capabilities(architectures) == expected


def last(flags) -> dict[str, str]:
    """What CMake makes of flags of ours: the last of a name; nixpkgs' carry their type."""
    return dict(flag[2:].split("=", 1) for flag in flags if ":" not in flag.split("=")[0])
