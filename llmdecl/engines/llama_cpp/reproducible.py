"""CMake settings that keep host, path and day out of what is built. Pure.

What was measured: `__FILE__` names the source's path, a RUNPATH the build's; the linker's build-id
follows from both; an enclosing git repository's commit is compiled in; OpenSSL, ccache and a web
page are taken from the host or the network where nobody says otherwise.
"""

from collections.abc import Mapping

from llmdecl.engines.llama_cpp.recipe import BuildRecipe

SOURCE_DIR, BUILD_DIR = "/llmdecl/src", "/llmdecl/build"
"""Where a build is, or what its paths are mapped to."""

SOURCE_DATE_EPOCH = 315532800
"""1980-01-01: the day of every build, for what asks the compiler for a date."""

ENVIRONMENT: Mapping[str, str] = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    "GIT_DIR": f"{SOURCE_DIR}/no-repository",
}

COMPILERS: Mapping[str, str] = {"C": "{}", "CXX": "{}", "CUDA": "-Xcompiler={}", "HIP": "{}"}
"""Languages, and how their compilers are told what the host's compiler is to do."""

_LINKED = ("EXE", "MODULE", "SHARED")
_ARCHIVE = "<CMAKE_AR> qcD <TARGET> <LINK_FLAGS> <OBJECTS>"
_INDEX = "<CMAKE_RANLIB> -D <TARGET>"


def cmake_options(recipe: BuildRecipe) -> Mapping[str, str]:
    """Every cache entry of a build but `flags`, sorted: ours, then the recipe's in their stead.

    `--build-id=none`: the linker makes that number of what `strip` takes away, too.
    """
    options = recipe.options
    metal = "metal" in recipe.backends
    fixed = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
        "CMAKE_INSTALL_RPATH": "@loader_path" if metal else "$ORIGIN",
        "GGML_BUILD_COMMIT": options.get("LLAMA_BUILD_COMMIT", "unknown"),
    }
    if not metal:
        fixed |= {f"CMAKE_{language}_ARCHIVE_CREATE": _ARCHIVE for language in ("C", "CXX")}
        fixed |= {f"CMAKE_{language}_ARCHIVE_FINISH": _INDEX for language in ("C", "CXX")}
    merged = {**fixed, **options}
    for kind in () if metal else _LINKED:
        name = f"CMAKE_{kind}_LINKER_FLAGS"
        merged[name] = _joined(options.get(name), "-Wl,--build-id=none", *_of_driver(recipe, kind))
    own = {f"CMAKE_{language}_FLAGS" for language in COMPILERS}
    return {name: merged[name] for name in sorted(merged) if name not in own}


def _of_driver(recipe: BuildRecipe, kind: str) -> tuple[str, ...]:
    """A program that is linked with the CUDA backend misses the driver's library where no driver
    is: in a container, on a build machine. Modules are not linked with."""
    linked = "cuda" in recipe.backends and recipe.options.get("GGML_BACKEND_DL") != "ON"
    return ("-Wl,--allow-shlib-undefined",) if linked and kind == "EXE" else ()


def flags(recipe: BuildRecipe, source: str, build: str) -> Mapping[str, str]:
    """Compiler flags by cache entry; `source` and `build` are written as CMake or a path has them.

    Inside quotes, because the folders of a person who builds by hand may hold spaces.
    """
    languages = ["C", "CXX"]
    languages += [name for name in ("CUDA", "HIP") if name.lower() in recipe.backends]
    maps = ((source, SOURCE_DIR), (build, BUILD_DIR))
    found = {}
    for language in languages:
        words = [
            f'"{COMPILERS[language].format(f"-ffile-prefix-map={old}={new}")}"' for old, new in maps
        ]
        name = f"CMAKE_{language}_FLAGS"
        found[name] = _joined(recipe.options.get(name), *words)
    return found


def _joined(*words: str | None) -> str:
    return " ".join(word for word in words if word)
