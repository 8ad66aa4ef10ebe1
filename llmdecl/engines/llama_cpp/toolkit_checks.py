"""Whether this machine can build a recipe, and its devices run the result. Pure."""

import re
from collections.abc import Iterable, Mapping

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.amd_architectures import AMD, target_of
from llmdecl.engines.llama_cpp.architectures import (
    OVERRIDE,
    CudaWord,
    covers,
    cuda_word,
    needed_override,
    release,
)
from llmdecl.engines.llama_cpp.nvidia_architectures import (
    MACHINE_CODE_DRIVER,
    NVIDIA,
    PTX_DRIVER,
    SUFFIXES,
    Release,
)
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.facts.model import DeviceFacts
from llmdecl.facts.toolkits import CudaToolkit, RocmToolkit, Toolkits

CMAKE: Mapping[str, tuple[int, int]] = {"cuda": (3, 18), "hip": (3, 21), "vulkan": (3, 19)}
"""By backend, the CMake that its `CMakeLists.txt` asks for; ggml asks for 3.14."""
CMAKE_LEAST = (3, 14)
CMAKE_REFUSES: Mapping[str, tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]] = {
    "a": (((3, 24), (3, 25)),),
    "f": (((3, 24), (3, 31, 8)), ((4, 0), (4, 0, 2))),
}
"""Suffixes of CUDA architectures (`120a-real`), and from which CMake to before which it takes them
for a mistake. 3.22, 3.23, 3.24, 3.25, 3.31.6, 4.0.0 and 4.0.2 were tried, 3.31.8 is ggml-cuda's
own word (its `CMakeLists.txt`)."""
ROCM_LEAST = (6, 1)
"""`ggml/src/ggml-hip/CMakeLists.txt`."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "a C++ compiler": ("Debian: `g++`", "Fedora: `gcc-c++`"),
    "cmake": ("Debian: `cmake`", "PyPI: `cmake`"),
    "nvcc": (
        "NVIDIA's repository: `cuda-toolkit-13-0`",
        "Debian (non-free): `nvidia-cuda-toolkit`",
        "PyPI: `nvidia-cuda-nvcc`, `nvidia-cuda-runtime`, `nvidia-cublas` and what they need",
    ),
    "hipcc": ("AMD's repository: `rocm-hip-sdk`", "Debian 13: `hipcc`, `libhipblas-dev`"),
    "glslc": ("Debian: `glslc`, `libvulkan-dev`, `spirv-headers`", "the Vulkan SDK"),
    "icpx": ("Intel's repository: `intel-oneapi-base-toolkit`",),
    "metal": ("Apple: `xcode-select --install`, and Xcode's Metal toolchain",),
}


def toolkit_problems(
    name: str, recipe: BuildRecipe, toolkits: Toolkits, devices: Iterable[DeviceFacts] = ()
) -> tuple[Diagnostic, ...]:
    """What keeps engine `name` from being built here, or from running on these devices."""
    address = f"engines.{name}"
    found: list[Diagnostic] = []
    wanted: dict[str, object] = {"cmake": toolkits.cmake}
    if "sycl" not in recipe.backends:
        wanted["a C++ compiler"] = toolkits.compiler
    of_backend: Mapping[str, tuple[str, object]] = {
        "cuda": ("nvcc", toolkits.cuda),
        "hip": ("hipcc", toolkits.rocm),
        "metal": ("metal", toolkits.metal),
        "sycl": ("icpx", toolkits.icpx),
        "vulkan": ("glslc", toolkits.glslc),
    }
    wanted |= dict(of_backend[backend] for backend in recipe.backends if backend in of_backend)
    for program, has in wanted.items():
        if has is None:
            shown = program if " " in program else f"`{program}`"
            summary = f"{shown} is not on this machine, and the build needs it"
            found.append(rules.TOOLKIT_MISSING.at(address, summary, notes=PACKAGES[program]))
    found += _cmake(address, recipe, toolkits)
    if toolkits.cuda is not None and "cuda" in recipe.backends:
        found += _cuda(address, recipe, toolkits.cuda)
        found += driver_problems(recipe, toolkits.cuda.version, devices)
    if toolkits.rocm is not None and "hip" in recipe.backends:
        found += _rocm(address, recipe, toolkits.rocm)
    return tuple(found)


def numbers(version: str) -> tuple[int, ...]:
    """`580.65.06` as numbers; words end it."""
    return tuple(int(word) for word in re.findall(r"[0-9]+", version.partition("-")[0]))


def _cmake(address: str, recipe: BuildRecipe, toolkits: Toolkits) -> list[Diagnostic]:
    if toolkits.cmake is None:
        return []
    has = numbers(toolkits.cmake)
    least = max((CMAKE_LEAST, *(CMAKE[b] for b in recipe.backends if b in CMAKE)))
    if has < least:
        summary = f"`cmake` is {toolkits.cmake}, and the build needs {release(least)}"
        return [rules.TOOLKIT_CANNOT.at(address, summary, notes=PACKAGES["cmake"])]
    suffixes = {one.suffix: word for word in recipe.architectures if (one := cuda_word(word))}
    for suffix, spans in CMAKE_REFUSES.items():
        for first, end in spans:
            if suffix in suffixes and first <= has < end:
                summary = f"`cmake` is {toolkits.cmake}, and takes no `{suffixes[suffix]}`"
                notes = [f"{release(end)} does", *PACKAGES["cmake"]]
                return [rules.TOOLKIT_CANNOT.at(address, summary, notes=notes)]
    return []


def _cuda(address: str, recipe: BuildRecipe, toolkit: CudaToolkit) -> list[Diagnostic]:
    """Architectures that nvcc doesn't list; without a list, those out of their releases' span."""
    found: list[Diagnostic] = []
    version = numbers(toolkit.version)[:2]
    for word in recipe.architectures:
        one = cuda_word(word)
        if one is None:
            continue
        first, last = _releases(one)
        listed = toolkit.codes if one.kind == "sm" else toolkit.architectures
        can = first <= version and (last is None or version <= last)
        if listed is not None and not _suffix(one):
            can = one.base.replace("sm", one.kind) in listed
        if can:
            continue
        summary = f"nvcc {toolkit.version} does not compile for `{word}`"
        notes = [f"CUDA {_span(first, last)} does", *_for_all(recipe)]
        found.append(rules.TOOLKIT_CANNOT.at(f"{address}.architectures", summary, notes=notes))
    return found


def _suffix(one: CudaWord) -> str:
    """What the toolkit has to know; of llama.cpp's own `120a`, as old as `120`, nothing."""
    return one.suffix if one.suffix == "f" or one.major < 12 else ""


def _releases(one: CudaWord) -> tuple[Release, Release | None]:
    known = NVIDIA[one.base]
    return max(known.first, SUFFIXES.get(_suffix(one), known.first)), known.last


def _span(first: Release, last: Release | None) -> str:
    return f"{release(first)} to {release(last)}" if last else f"{release(first)} on"


def _for_all(recipe: BuildRecipe) -> list[str]:
    """Which toolkits compile the whole recipe; there is one, else it could not be locked."""
    spans = [_releases(one) for word in recipe.architectures if (one := cuda_word(word))]
    if len(spans) < 2:
        return []
    first, ends = max(first for first, _ in spans), [last for _, last in spans if last]
    return [f"CUDA {_span(first, min(ends, default=None))} compiles for all of them"]


def driver_problems(
    recipe: BuildRecipe, toolkit: str, devices: Iterable[DeviceFacts]
) -> list[Diagnostic]:
    """Devices whose driver is older than what this CUDA toolkit's programs need."""
    found: list[Diagnostic] = []
    major, minor = (*numbers(toolkit), 0)[:2]
    for device in devices:
        has = device.architecture
        if device.driver is None or has is None or cuda_word(has) is None:
            continue
        code = [w for w in recipe.architectures if cuda_word(w) is not None and covers(w, has)]
        only_ptx = bool(code) and all(word.startswith("compute_") for word in code)
        least = MACHINE_CODE_DRIVER.get(major)
        if only_ptx and least is not None:
            older = (driver for one, driver in PTX_DRIVER.items() if one <= (major, minor))
            least = max(older, default=least)
        driver = numbers(device.driver)
        if least is None or driver >= least:
            continue
        wanted = ".".join(f"{n:02}" if at else str(n) for at, n in enumerate(least))
        what = "PTX" if only_ptx else "programs"
        summary = (
            f"`{device.id}` has driver {device.driver}, and {what} of CUDA {toolkit} need {wanted}"
        )
        found.append(rules.DRIVER_TOO_OLD.at(f"host.devices.{device.id}", summary))
    return found


def _rocm(address: str, recipe: BuildRecipe, toolkit: RocmToolkit) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    if numbers(toolkit.version)[:2] < ROCM_LEAST:
        summary = f"HIP is {toolkit.version}, and llama.cpp needs {release(ROCM_LEAST)}"
        found.append(rules.TOOLKIT_CANNOT.at(address, summary, notes=PACKAGES["hipcc"]))
    for word in recipe.architectures:
        target = word.partition(":")[0]
        if target.startswith("gfx") and toolkit.targets and target not in toolkit.targets:
            summary = f"HIP {toolkit.version} has no device libraries for `{word}`"
            place = f"{address}.architectures"
            found.append(rules.TOOLKIT_CANNOT.at(place, summary))
    return [*found, *_blas(address, recipe, toolkit)]


def _blas(address: str, recipe: BuildRecipe, toolkit: RocmToolkit) -> list[Diagnostic]:
    """Architectures that rocBLAS here has no code for, nor for the one that they are run as."""
    has = toolkit.blas
    found: list[Diagnostic] = []
    for word in recipe.architectures:
        target = word.partition(":")[0]
        if has is None or not target.startswith("gfx") or "generic" in target or target in has:
            continue
        override = needed_override(target)
        if override is not None and target_of(override) in has:
            continue  # said where the device is
        summary = f"rocBLAS of HIP {toolkit.version} has no code for `{word}`"
        notes = [f"it has {', '.join(has)}"]
        pairs = [pair for pair in AMD[target].overrides if target_of(pair) in has]
        helped = [
            f'`environment = {{ {OVERRIDE} = "{pair}" }}` of its models' for pair in pairs[:1]
        ]
        place = f"{address}.architectures"
        found.append(rules.LIBRARIES_LACK_DEVICE.at(place, summary, notes=notes, help=helped))
    return found
