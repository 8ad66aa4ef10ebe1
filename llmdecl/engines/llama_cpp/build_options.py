"""The recipe of an engine that is built from source: which CMake options. Pure."""

import base64

from llmdecl.backends.table import BACKENDS
from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp import architectures
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions
from llmdecl.engines.llama_cpp.cpu_options import Cpu, cpu_options
from llmdecl.engines.llama_cpp.option_tables import ALWAYS, OF_BACKEND, PREFIXES, TREE
from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.engines.llama_cpp.user_options import merged
from llmdecl.facts.model import DeviceFacts, HostFacts
from llmdecl.facts.toolkits import Toolkits
from llmdecl.spec.schema import SourceEngine

COMMIT_DIGITS = 8
"""As llama.cpp's own releases abbreviate their commit."""

Options = dict[str, str]

_TREES = ("GGML_", "LLAMA_", "MTMD_")
_READ = ("LLAMA_BUILD_COMMIT", "LLAMA_BUILD_NUMBER")
"""Read where somebody sets them, and declared nowhere."""


def recipe_for(
    name: str,
    engine: SourceEngine,
    host: HostFacts,
    archive: SourceArchive,
    *,
    toolkits: Toolkits | None = None,
    tree: TreeOptions | None = None,
) -> tuple[BuildRecipe | None, tuple[Diagnostic, ...]]:
    """The recipe of engine `name` for a host, or why there is none.

    `toolkits` only tells the recipe's `toolchain`; `toolkit_problems` judges it when something is
    built. Without `tree` (`cmake_options.tree_options`) no option is known not to exist.
    """
    address = f"engines.{name}"
    backends = chosen_backends(engine, host)
    words, found = _architectures(address, engine, host, backends)
    cpu: Cpu = engine.cpu or "dispatch"
    found += _apart(address, backends, cpu, tree)
    chosen, said = cpu_options(address, cpu, host.cpu, tree)
    found += said
    options = _of_tree(_options(backends, words, archive) | chosen, backends, tree)
    options, said = merged(address, options, engine, backends, tree)
    found += said
    if has_errors(found):
        return None, tuple(found)
    recipe = BuildRecipe(
        archive=archive,
        version=version_of(engine, archive),
        backends=backends,
        architectures=words,
        cpu=cpu,
        options=dict(sorted(options.items())),
        toolchain=() if toolkits is None else toolkits.identity(backends),
    )
    return recipe, tuple(found)


def chosen_backends(engine: SourceEngine, host: HostFacts) -> tuple[str, ...]:
    """Those of the spec, or else what each device is best reached through; sorted."""
    if engine.backends is not None:
        return tuple(sorted(set(engine.backends) - {"cpu"}))
    return tuple(sorted({device.backend for device in meant(host)}))


def meant(host: HostFacts) -> tuple[DeviceFacts, ...]:
    """The devices that an engine is built for: all that are declared; of detected ones no
    integrated beside discrete ones, which models don't use unless told to."""
    discrete = any(not one.integrated and one.endpoint is None for one in host.devices)
    return tuple(one for one in host.devices if one.declared or not (discrete and one.integrated))


def version_of(engine: SourceEngine, archive: SourceArchive) -> str:
    """`b10434`; the version of a package; the first digits of a commit, or of the tree's hash."""
    if engine.version is not None:
        return engine.version
    if archive.origin.startswith("pypi:"):
        return archive.origin.partition("==")[2]
    if archive.build:
        return f"b{archive.build}"
    if archive.commit is not None:
        return archive.commit[:COMMIT_DIGITS]
    return base64.b64decode(archive.nar_hash.removeprefix("sha256-")).hex()[:COMMIT_DIGITS]


def _architectures(
    address: str, engine: SourceEngine, host: HostFacts, backends: tuple[str, ...]
) -> tuple[tuple[str, ...], list[Diagnostic]]:
    """What is compiled for, and which devices of the host that leaves out."""
    found: list[Diagnostic] = []
    place = f"{address}.architectures"
    wanting = [b for b in backends if b in architectures.KINDS]
    words: set[str] = set()
    if engine.architectures is None:
        for backend in wanting:
            chosen, said = architectures.of_devices(address, backend, _devices(host, backend))
            words |= chosen
            found += said
    else:
        for word in engine.architectures:
            problem = architectures.problem(word, backends)
            if problem is not None:
                found.append(rules.NOT_AN_ARCHITECTURE.at(place, problem))
            else:
                words.add(word)
        for backend in wanting:
            if has_errors(found):
                break
            found += architectures.uncovered(place, backend, _devices(host, backend), words)
    if not has_errors(found):
        found += architectures.together(place, words)
    return tuple(sorted(words, key=architectures.order)), found


def _devices(host: HostFacts, backend: str) -> list[DeviceFacts]:
    """The host's devices that this backend reaches."""
    return [d for d in meant(host) if backend in (d.backends or (d.backend,))]


def _apart(
    address: str, backends: tuple[str, ...], cpu: Cpu, tree: TreeOptions | None
) -> list[Diagnostic]:
    """Backends that the tree has not, and those that exclude each other."""
    found: list[Diagnostic] = []
    place = f"{address}.backends"
    for name in backends:
        for option, _ in BACKENDS[name].cmake:
            if tree is not None and not tree.has(option):
                summary = f"this llama.cpp has no backend `{name}` (no option `{option}`)"
                found.append(rules.BACKEND_ABSENT.at(place, summary))
    if "cuda" in backends and "hip" in backends and cpu != "dispatch":
        summary = f'`cuda` and `hip` fit into one engine only with `cpu = "dispatch"`, not `{cpu}`'
        found.append(rules.BACKENDS_APART.at(place, summary))
    others = sorted(set(backends) & {"cuda", "hip", "sycl"})
    if "metal" in backends and others:
        listed = ", ".join(f"`{word}`" for word in others)
        summary = f"`metal` and {listed} exist on no machine together"
        found.append(rules.BACKENDS_APART.at(place, summary))
    return found


def _options(backends: tuple[str, ...], words: tuple[str, ...], archive: SourceArchive) -> Options:
    """What llmdecl sets whatever the tree has; the processor's are apart."""
    options = dict(ALWAYS) | dict(TREE)
    for backend in BACKENDS.values():
        if backend.name != "rpc":
            switch = "ON" if backend.name in backends else "OFF"
            options |= {option: switch for option, _ in backend.cmake}
    if "metal" in backends:
        options["CMAKE_INSTALL_RPATH"] = "@loader_path"
        options["GGML_OPENMP"] = "OFF"  # Apple's compiler has none
    else:
        options["CMAKE_REQUIRE_FIND_PACKAGE_OpenMP"] = "ON"
    for name in backends:
        options |= OF_BACKEND.get(name, {})
    options |= architectures.cmake(words)
    return options | {
        "LLAMA_BUILD_COMMIT": (archive.commit or "unknown")[:COMMIT_DIGITS],
        "LLAMA_BUILD_NUMBER": str(archive.build or 0),
    }


def _of_tree(options: Options, backends: tuple[str, ...], tree: TreeOptions | None) -> Options:
    """Without those that the tree has not; with the chosen backends' own, as the tree has them."""
    if tree is None:
        return options
    prefixes = tuple(prefix for name in backends for prefix in PREFIXES.get(name, ()))
    own = {
        name: option.default
        for name, option in tree.declared.items()
        if prefixes and name.startswith(prefixes) and option.default
    }
    kept = {
        name: value
        for name, value in options.items()
        if name in tree.declared or not name.startswith(_TREES) or name in _READ
    }
    return own | kept
