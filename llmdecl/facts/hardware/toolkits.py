"""Compilers and build programs: which are asked, and what their words mean. Pure."""

import re
from collections.abc import Callable, Mapping

from llmdecl.facts.hardware.probes import Tool
from llmdecl.facts.hardware.reading import Said
from llmdecl.facts.toolkits import Compiler, CudaToolkit, RocmToolkit, Toolkits

TOOLS: tuple[Tool, ...] = (
    Tool(name="c++", argv=("c++", "--version")),
    Tool(name="cmake", argv=("cmake", "--version")),
    Tool(name="ninja", argv=("ninja", "--version")),
    Tool(name="ccache", argv=("ccache", "--version")),
    Tool(name="nvcc", argv=("nvcc", "--version")),
    Tool(name="nvcc-codes", argv=("nvcc", "--list-gpu-code")),
    Tool(name="nvcc-architectures", argv=("nvcc", "--list-gpu-arch")),
    # a minute on some ROCm 6.2 (ROCm/ROCm#3598)
    Tool(name="hipcc", argv=("hipcc", "--version"), timeout_s=90),
    Tool(name="glslc", argv=("glslc", "--version")),
    Tool(name="icpx", argv=("icpx", "--version")),
    Tool(name="metal", argv=("xcrun", "metal", "--version")),
)
DEVICE_LIBRARIES = (
    "/opt/rocm/amdgcn/bitcode/oclc_isa_version_*.bc",
    "/opt/rocm/lib/llvm/lib/clang/*/lib/amdgcn/bitcode/oclc_isa_version_*.bc",
    "/usr/lib/*/amdgcn/bitcode/oclc_isa_version_*.bc",
    "/usr/lib/llvm-*/lib/clang/*/amdgcn/bitcode/oclc_isa_version_*.bc",
    "/usr/lib/clang/*/amdgcn/bitcode/oclc_isa_version_*.bc",
    "/usr/lib/clang/*/lib/amdgcn/bitcode/oclc_isa_version_*.bc",
)
"""ROCm's, Debian's, Fedora's: one file for each target, named after it."""
BLAS_LIBRARIES = (
    "/opt/rocm/lib/rocblas/library/TensileLibrary*gfx*.dat",
    "/usr/lib/*/rocblas/*/library/TensileLibrary*gfx*.dat",
    "/usr/lib/*/rocblas/library/TensileLibrary*gfx*.dat",
    "/usr/lib64/rocblas/library/TensileLibrary*gfx*.dat",
)
"""ROCm's, Debian's, Fedora's: `TensileLibrary_lazy_gfx1030.dat`."""

_VERSION = re.compile(r"\b([0-9]+(?:\.[0-9]+)+)")


def toolkits_of(
    ask: Callable[[Tool], Said], paths: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> Toolkits:
    """What a machine has: `ask` asks a program, `paths` lists files of patterns."""
    said = {tool.name: ask(tool) for tool in TOOLS if tool.name.partition("-")[0] == tool.name}
    if said["nvcc"].ok:
        said |= {tool.name: ask(tool) for tool in TOOLS if tool.name.startswith("nvcc-")}
    libraries = paths((*DEVICE_LIBRARIES, *BLAS_LIBRARIES)) if said["hipcc"].ok else ()
    return parse_toolkits(said, libraries)


def parse_toolkits(said: Mapping[str, Said], libraries: tuple[str, ...] = ()) -> Toolkits:
    """Answers by tool; a program that is not there or fails is none. `libraries` are paths."""
    texts = {name: answer.text for name, answer in said.items() if answer.ok}
    return Toolkits(
        compiler=_compiler(texts.get("c++", "")),
        cmake=_number(texts.get("cmake", "")),
        ninja=_number(texts.get("ninja", "")),
        ccache=_number(texts.get("ccache", "")),
        cuda=_cuda(texts),
        rocm=_rocm(texts.get("hipcc", ""), libraries),
        glslc=_glslc(texts.get("glslc", "")),
        icpx=_number(texts.get("icpx", "")),
        metal=_number(texts.get("metal", "")),
    )


def _number(text: str) -> str | None:
    """The first version number of the first line that has one."""
    match = _VERSION.search(text)
    return None if match is None else match[1]


def _compiler(text: str) -> Compiler | None:
    """GCC's first line ends with its version, whatever a distribution writes between."""
    first = text.partition("\n")[0]
    for words, name in (
        ("Apple clang version", "AppleClang"),
        ("clang version", "Clang"),
        ("oneAPI DPC++/C++ Compiler", "IntelLLVM"),
    ):
        if words in first:
            version = _number(first.partition(words)[2])
            return None if version is None else Compiler(id=name, version=version)
    if "Free Software Foundation" not in text:
        return None
    bare = re.sub(r"\([^()]*\)", "", first)
    version = _number(bare)
    return None if version is None else Compiler(id="GNU", version=version)


def _cuda(texts: Mapping[str, str]) -> CudaToolkit | None:
    match = re.search(r"release ([0-9]+\.[0-9]+), V([0-9.]+)", texts.get("nvcc", ""))
    if match is None:
        return None
    listed = {
        field: tuple(sorted(set(texts[tool].split()), key=lambda word: (len(word), word)))
        for field, tool in (("codes", "nvcc-codes"), ("architectures", "nvcc-architectures"))
        if tool in texts
    }
    return CudaToolkit(version=match[1], build=match[2], **listed)


def _rocm(text: str, libraries: tuple[str, ...]) -> RocmToolkit | None:
    match = re.search(r"HIP version: ([0-9]+(?:\.[0-9]+)+)", text)
    if match is None:
        return None
    compiler = re.search(r"clang version ([0-9]+(?:\.[0-9]+)+)", text)
    return RocmToolkit(
        version=match[1],
        compiler=None if compiler is None else compiler[1],
        targets=_targets(r"oclc_isa_version_(.+)\.bc", libraries),
        blas=_targets(r"TensileLibrary(?:_lazy)?_gfx([0-9a-f]+)\.dat", libraries),
    )


def _targets(name: str, paths: tuple[str, ...]) -> tuple[str, ...] | None:
    found = {match[1] for path in paths if (match := re.fullmatch(rf".*/{name}", path))}
    return tuple(f"gfx{target}" for target in sorted(found, key=lambda t: (len(t), t))) or None


def _glslc(text: str) -> str | None:
    """Its release is the year's (`shaderc v2023.8 v2023.8`, Debian: `shaderc 2023.2-1`)."""
    match = re.search(r"^shaderc v?([0-9]+(?:\.[0-9]+)+)", text, re.MULTILINE)
    return None if match is None else match[1]
