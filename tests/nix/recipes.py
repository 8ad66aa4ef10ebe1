"""Recipes of engines as locks have them."""

from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive

NAR = "sha256-9JU57TfOCTX74o+5as7nehweZNlvepABNG5e/Hb2sQ0="


def archive(**fields) -> SourceArchive:
    release = {
        "origin": "b10434",
        "file_name": "b10434.tar.gz",
        "sha256": "ab" * 32,
        "size_bytes": 31_000_000,
        "root": "llama.cpp-b10434",
        "nar_hash": NAR,
        "commit": "0c1e570" + "0" * 33,
        "build": 10434,
    }
    return SourceArchive(**{**release, **fields})


def recipe(**fields) -> BuildRecipe:
    cpu = {
        "archive": archive(),
        "version": "b10434",
        "backends": (),
        "architectures": (),
        "cpu": "dispatch",
        "options": {
            "CMAKE_BUILD_TYPE": "Release",
            "GGML_BACKEND_DL": "ON",
            "GGML_CPU_ALL_VARIANTS": "ON",
            "LLAMA_OPENSSL": "OFF",
        },
    }
    return BuildRecipe(**{**cpu, **fields})


SDIST = archive(
    origin="pypi:llama-cpp-python==0.3.36",
    file_name="llama_cpp_python-0.3.36.tar.gz",
    root="llama_cpp_python-0.3.36/vendor/llama.cpp",
    commit=None,
    build=None,
)

RECIPES = {
    "cpu": recipe(),
    "cuda": recipe(
        backends=("cuda",),
        architectures=("sm_86", "sm_120"),
        options={"GGML_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": "86-real;120-real"},
    ),
    "hip": recipe(
        backends=("hip",),
        architectures=("gfx1030", "gfx1100"),
        options={"GGML_HIP": "ON", "CMAKE_HIP_ARCHITECTURES": "gfx1030;gfx1100"},
    ),
    "native": recipe(cpu="native", options={"GGML_NATIVE": "ON", "GGML_AVX2": "ON"}),
    "sdist": recipe(archive=SDIST, version="0.3.36", cpu="baseline"),
    "spaced": recipe(
        options={"GGML_EXTRA": "two words'; touch /tmp/x; '${out} ''", "GGML_RPC": "ON"},
        backends=("rpc", "vulkan"),
    ),
    "with.dots and spaces": recipe(backends=("vulkan",)),
}
