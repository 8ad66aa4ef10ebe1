"""AMD's devices by LLVM target, and what of ROCm knows them. Data.

Sources:
* cards: llvm.org/docs/AMDGPUUsage.html, "Processors"; Gentoo's descriptions of `amdgpu_targets_*`
* libraries: the target lists by ROCm version in rocBLAS's CMakeLists.txt (ROCm/rocm-libraries,
  projects/rocblas; 5.6 to 7.1). llama.cpp multiplies large matrices with rocBLAS, which ends a
  process on a device that it has no code for. AMD's own packages hold fewer: nothing for gfx900
  and gfx906 from 6.4 on (ROCm/legacy-rocm-build#4625), nothing for gfx1010 and gfx1012
  (ROCm/Tensile#1757); distributions' and TheRock's have them. What lies here is looked at
* TheRock (ROCm 7.14 on is built by it): ROCm/TheRock, SUPPORTED_GPUS.md and
  cmake/therock_amdgpu_targets.cmake
* official: rocm.docs.amd.com, install-on-linux, "System requirements", and radeon-ryzen, "Linux
  support matrices", 6.1 to 7.1 (gfx906 as deprecated, to 6.3)
* overrides: llama.cpp's docs/build.md, "HIP" (10.3.0 on RDNA 2, 11.0.0 on RDNA 3), ollama's
  docs/gpu.md, "Overrides on Linux"; ROCm/legacy-rocm-build#1743 and ROCm/rocBLAS#1398 (gfx90c as
  9.0.0), ROCm/ROCm#2353 and ROCm/rocBLAS#1339 (gfx1031 as 10.3.0, gfx1013 as 10.1.0),
  ROCm/rocBLAS#1331 (gfx1011), ggml-org/llama.cpp#19949 (gfx1152 as 11.5.0; of gfx1153 rocBLAS has
  a copy of gfx1152's code, ROCm/rocm-libraries#2785); 11.0.2 on gfx1103 in many reports.
  Code of a target runs on another only where instruction set and wave size agree
"""

from collections.abc import Mapping

from llmdecl.values import Value

Release = tuple[int, int]


class AmdArchitecture(Value, frozen=True, kw_only=True):
    """One LLVM target. `libraries` are the first and last ROCm whose rocBLAS has code for it."""

    generation: str
    cards: tuple[str, ...]
    libraries: tuple[Release, Release | None] | None = None
    official: bool = False
    """AMD supports at least one card of it on Linux, in some ROCm from 6.1 on."""
    overrides: tuple[str, ...] = ()
    """Values of `HSA_OVERRIDE_GFX_VERSION` that are in use, the best first."""


PACKAGED_TO: Mapping[str, Release] = {"gfx900": (6, 3), "gfx906": (6, 3)}
"""The last ROCm before TheRock's whose packages by AMD still have code of a target."""
THEROCK: Release = (7, 14)
"""The first ROCm that is built by TheRock, for many more devices."""
_ALL = ((5, 6), None)
AMD: Mapping[str, AmdArchitecture] = {
    "gfx803": AmdArchitecture(
        generation="GCN 4",
        cards=("Radeon RX 470", "Radeon RX 580", "Radeon R9 Nano", "Instinct MI8"),
        libraries=((5, 6), (5, 7)),
    ),
    "gfx900": AmdArchitecture(
        generation="GCN 5",
        cards=("Radeon RX Vega 56", "Radeon RX Vega 64", "Instinct MI25"),
        libraries=_ALL,
    ),
    "gfx902": AmdArchitecture(
        generation="GCN 5",
        cards=("Ryzen 2200G to 3400G (Radeon Vega)",),
        overrides=("9.0.0",),
    ),
    "gfx906": AmdArchitecture(
        generation="GCN 5.1",
        cards=("Radeon VII", "Radeon Pro VII", "Instinct MI50", "Instinct MI60"),
        libraries=_ALL,
        official=True,
    ),
    "gfx908": AmdArchitecture(
        generation="CDNA", cards=("Instinct MI100",), libraries=_ALL, official=True
    ),
    "gfx909": AmdArchitecture(
        generation="GCN 5", cards=("Ryzen of the 3000 series (Radeon Vega)",), overrides=("9.0.0",)
    ),
    "gfx90a": AmdArchitecture(
        generation="CDNA 2",
        cards=("Instinct MI210", "Instinct MI250", "Instinct MI250X"),
        libraries=_ALL,
        official=True,
    ),
    "gfx90c": AmdArchitecture(
        generation="GCN 5",
        cards=("Ryzen 4000G to 5000G, 4000U to 5000H (Radeon Graphics)",),
        overrides=("9.0.0",),
    ),
    "gfx942": AmdArchitecture(
        generation="CDNA 3",
        cards=("Instinct MI300A", "Instinct MI300X", "Instinct MI325X"),
        libraries=((5, 7), None),
        official=True,
    ),
    "gfx950": AmdArchitecture(
        generation="CDNA 4",
        cards=("Instinct MI350X", "Instinct MI355X"),
        libraries=((7, 0), None),
        official=True,
    ),
    "gfx1010": AmdArchitecture(
        generation="RDNA", cards=("Radeon RX 5600 XT", "Radeon RX 5700 XT"), libraries=_ALL
    ),
    "gfx1011": AmdArchitecture(
        generation="RDNA",
        cards=("Radeon Pro V520", "Radeon Pro 5600M"),
        libraries=(THEROCK, None),
        overrides=("10.1.0",),
    ),
    "gfx1012": AmdArchitecture(
        generation="RDNA", cards=("Radeon RX 5500 XT", "Radeon Pro W5500"), libraries=_ALL
    ),
    "gfx1013": AmdArchitecture(generation="RDNA", cards=("BC-250",), overrides=("10.1.0",)),
    "gfx1030": AmdArchitecture(
        generation="RDNA 2",
        cards=("Radeon RX 6800", "Radeon RX 6900 XT", "Radeon PRO W6800", "Radeon PRO V620"),
        libraries=_ALL,
        official=True,
    ),
    "gfx1031": AmdArchitecture(
        generation="RDNA 2",
        cards=("Radeon RX 6700 XT", "Radeon RX 6750 XT"),
        libraries=(THEROCK, None),
        overrides=("10.3.0",),
    ),
    "gfx1032": AmdArchitecture(
        generation="RDNA 2",
        cards=("Radeon RX 6600", "Radeon RX 6600 XT", "Radeon PRO W6600"),
        libraries=(THEROCK, None),
        overrides=("10.3.0",),
    ),
    "gfx1033": AmdArchitecture(
        generation="RDNA 2", cards=("Steam Deck",), libraries=(THEROCK, None), overrides=("10.3.0",)
    ),
    "gfx1034": AmdArchitecture(
        generation="RDNA 2",
        cards=("Radeon RX 6400", "Radeon RX 6500 XT"),
        libraries=(THEROCK, None),
        overrides=("10.3.0",),
    ),
    "gfx1035": AmdArchitecture(
        generation="RDNA 2",
        cards=("Ryzen 6000 (Radeon 660M, 680M)",),
        libraries=(THEROCK, None),
        overrides=("10.3.0",),
    ),
    "gfx1036": AmdArchitecture(
        generation="RDNA 2",
        cards=("Ryzen 7000 and 9000 for desktops (Radeon Graphics)",),
        libraries=(THEROCK, None),
        overrides=("10.3.0",),
    ),
    "gfx1100": AmdArchitecture(
        generation="RDNA 3",
        cards=("Radeon RX 7900 XT", "Radeon RX 7900 XTX", "Radeon PRO W7900"),
        libraries=_ALL,
        official=True,
    ),
    "gfx1101": AmdArchitecture(
        generation="RDNA 3",
        cards=("Radeon RX 7700 XT", "Radeon RX 7800 XT", "Radeon PRO W7700"),
        libraries=_ALL,
        official=True,
    ),
    "gfx1102": AmdArchitecture(
        generation="RDNA 3",
        cards=("Radeon RX 7600", "Radeon PRO W7600"),
        libraries=_ALL,
    ),
    "gfx1103": AmdArchitecture(
        generation="RDNA 3",
        cards=("Ryzen 7040 and 8040 (Radeon 760M, 780M)",),
        libraries=((7, 1), None),
        overrides=("11.0.2", "11.0.0"),
    ),
    "gfx1150": AmdArchitecture(
        generation="RDNA 3.5",
        cards=("Ryzen AI 300 (Radeon 880M, 890M)",),
        libraries=((7, 0), None),
        official=True,
        overrides=("11.0.0",),
    ),
    "gfx1151": AmdArchitecture(
        generation="RDNA 3.5",
        cards=("Ryzen AI Max (Radeon 8050S, 8060S)",),
        libraries=((6, 3), None),
        official=True,
        overrides=("11.0.0",),
    ),
    "gfx1152": AmdArchitecture(
        generation="RDNA 3.5",
        cards=("Ryzen AI 300 (Radeon 840M, 860M)",),
        libraries=(THEROCK, None),
        overrides=("11.5.0", "11.0.0"),
    ),
    "gfx1153": AmdArchitecture(
        generation="RDNA 3.5",
        cards=("Radeon 820M",),
        libraries=(THEROCK, None),
        overrides=("11.5.0", "11.0.0"),
    ),
    "gfx1200": AmdArchitecture(
        generation="RDNA 4",
        cards=("Radeon RX 9060 XT",),
        libraries=((6, 3), None),
        official=True,
    ),
    "gfx1201": AmdArchitecture(
        generation="RDNA 4",
        cards=("Radeon RX 9070", "Radeon RX 9070 XT", "Radeon AI PRO R9700"),
        libraries=((6, 3), None),
        official=True,
    ),
}

GENERIC: Mapping[str, tuple[str, ...]] = {
    "gfx9-generic": ("gfx900", "gfx902", "gfx906", "gfx909", "gfx90c"),
    "gfx9-4-generic": ("gfx942", "gfx950"),
    "gfx10-1-generic": ("gfx1010", "gfx1011", "gfx1012", "gfx1013"),
    "gfx10-3-generic": (
        "gfx1030",
        "gfx1031",
        "gfx1032",
        "gfx1033",
        "gfx1034",
        "gfx1035",
        "gfx1036",
    ),
    "gfx11-generic": (
        "gfx1100",
        "gfx1101",
        "gfx1102",
        "gfx1103",
        "gfx1150",
        "gfx1151",
        "gfx1152",
        "gfx1153",
    ),
    "gfx12-generic": ("gfx1200", "gfx1201"),
}
"""llvm.org/docs/AMDGPUUsage.html, "Generic Processors": code for all of a family; ROCm 6.3 on."""


def family_of(target: str) -> frozenset[str]:
    """Those whose code can be made to run on it: of one instruction set, or only itself."""
    found = (members for members in GENERIC.values() if target in members)
    return frozenset(next(found, (target,)))


def target_of(override: str) -> str:
    """`10.3.0` is gfx1030, `9.0.10` gfx90a: minor and stepping are hexadecimal digits."""
    major, minor, stepping = (int(word) for word in override.split("."))
    return f"gfx{major}{minor:x}{stepping:x}"
