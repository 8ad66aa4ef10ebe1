"""What CMake's words for something that is missing mean, and which packages have it. Data.

The words are of `ggml/src/*/CMakeLists.txt`, of CMake's own modules and of compilers. Programs are
looked for before (`LD720`); these are libraries beside them, and what a machine runs out of.
"""

from collections.abc import Iterable, Iterator, Mapping

WORDS: Mapping[str, str] = {
    "CUDA::cublas": "cuBLAS is not in the toolkit. NVIDIA's repository: `libcublas-dev-13-0`; "
    "PyPI: `nvidia-cublas`",
    "CUDA::cuda_driver": "neither the driver's library nor a stub of it (`libcuda.so`) was found. "
    "NVIDIA's repository: `cuda-driver-dev-13-0`",
    '"hip" with': "HIP's CMake files were not found. AMD's repository: `hip-dev`; Debian: "
    "`libamdhip64-dev`",
    '"hipblas" with': "hipBLAS was not found. AMD's repository: `hipblas-dev`; Debian: "
    "`libhipblas-dev`",
    '"rocblas" with': "rocBLAS was not found. AMD's repository: `rocblas-dev`; Debian: "
    "`librocblas-dev`",
    '"SPIRV-Headers" with': "the headers of SPIR-V were not found. Debian: `spirv-headers`",
    "Could NOT find Vulkan": "Vulkan was not found. Debian: `libvulkan-dev`, `glslc`",
    "Could NOT find OpenMP": "OpenMP was not found. Debian: `libgomp1` with GCC, `libomp-dev` with "
    "Clang",
    "No space left on device": "the disk became full",
    "Killed signal terminated program": "the system ended a compiler for want of memory. Fewer "
    "`--jobs` take less",
    "unsupported GNU version": "this nvcc takes no host compiler that is so new. An older one is "
    "named by the environment variable `CUDAHOSTCXX`",
}
"""By words of a log, what they mean."""


def meanings(lines: Iterable[str]) -> Iterator[str]:
    """Of everything that a log misses, once each."""
    text = "\n".join(lines)
    return (meaning for words, meaning in WORDS.items() if words in text)
