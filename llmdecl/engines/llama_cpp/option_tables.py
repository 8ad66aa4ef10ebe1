"""The CMake options that llmdecl sets, and why. Data.

Nothing is left to what CMake finds where it runs: every option whose default depends on the
machine is set, and libraries that a build would pick up are either asked for by name
(`CMAKE_REQUIRE_FIND_PACKAGE_*`) or shut out.
"""

from collections.abc import Mapping

ALWAYS: Mapping[str, str] = {
    "BUILD_SHARED_LIBS": "ON",
    "CMAKE_BUILD_RPATH_USE_ORIGIN": "ON",
    "CMAKE_BUILD_TYPE": "Release",
    # an enclosing git repository is not what is built: ggml/CMakeLists.txt and
    # cmake/build-info.cmake would ask it
    "CMAKE_DISABLE_FIND_PACKAGE_Git": "ON",
    "GIT_EXE": "OFF",
    "GIT_EXECUTABLE": "OFF",
    "CMAKE_INSTALL_BINDIR": "bin",
    "CMAKE_INSTALL_INCLUDEDIR": "include",
    "CMAKE_INSTALL_LIBDIR": "lib",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
    "CMAKE_INSTALL_RPATH_USE_LINK_PATH": "OFF",
}
TREE: Mapping[str, str] = {
    "GGML_ACCELERATE": "OFF",
    "GGML_BLAS": "OFF",
    "GGML_BUILD_EXAMPLES": "OFF",
    "GGML_BUILD_TESTS": "OFF",
    "GGML_CCACHE": "OFF",  # a launcher is the builder's choice, and changes nothing in the result
    "GGML_CPU": "ON",
    "GGML_CPU_HBM": "OFF",
    "GGML_CPU_KLEIDIAI": "OFF",  # would be downloaded while it is built
    "GGML_CPU_REPACK": "ON",
    "GGML_LLAMAFILE": "ON",
    "GGML_LTO": "OFF",
    "GGML_OPENMP": "ON",
    "GGML_OPENMP_FETCH": "OFF",
    "GGML_RPC": "ON",  # for `rpc-server`, and `--rpc`
    "GGML_RPC_RDMA": "OFF",  # else on wherever libibverbs lies
    "GGML_STATIC": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_BUILD_WEBUI": "OFF",
    "LLAMA_CURL": "OFF",
    "LLAMA_HTTPLIB": "ON",
    "LLAMA_LLGUIDANCE": "OFF",
    "LLAMA_OPENSSL": "OFF",  # a model's server listens on a socket of the stack's own
    "LLAMA_SERVER_SSL": "OFF",
    "LLAMA_SUBPROCESS": "ON",
    "LLAMA_TESTS_INSTALL": "OFF",
    "LLAMA_TOOLS_INSTALL": "ON",
    "LLAMA_UI_GZIP": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",  # would be downloaded while it is built
    "LLAMA_USE_SYSTEM_GGML": "OFF",
    "MTMD_VIDEO": "ON",  # starts ffmpeg where it is on the path, for videos and WebP
}
OF_BACKEND: Mapping[str, Mapping[str, str]] = {
    "cuda": {"GGML_CUDA_GRAPHS": "ON", "GGML_CUDA_NCCL": "OFF"},
    "hip": {"GGML_CUDA_GRAPHS": "ON", "GGML_CUDA_NCCL": "OFF", "GGML_HIP_RCCL": "OFF"},
    "metal": {"GGML_ACCELERATE": "ON", "GGML_METAL_EMBED_LIBRARY": "ON"},
    "sycl": {"CMAKE_C_COMPILER": "icx", "CMAKE_CXX_COMPILER": "icpx"},
}
PREFIXES: Mapping[str, tuple[str, ...]] = {
    "cuda": ("GGML_CUDA_",),
    "hip": ("GGML_CUDA_", "GGML_HIP_"),
    "metal": ("GGML_METAL_",),
    "sycl": ("GGML_SYCL_",),
    "vulkan": ("GGML_VULKAN_",),
}
"""A chosen backend's own switches are passed, too, as the tree has them."""
