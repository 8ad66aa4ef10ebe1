"""NVIDIA's devices by compute capability, and the toolkits and drivers that they need. Data.

Sources:
* cards: developer.nvidia.com/cuda-gpus and /cuda-legacy-gpus (CUDA GPU Compute Capability)
* first toolkit: docs.nvidia.com/cuda/parallel-thread-execution, "PTX ISA Version History" (the
  PTX version that knows the target, and the CUDA release that brought it; 12.7, which it names,
  was never released). Every row agrees with llvm/llvm-project's NVPTX.td at pull requests 136639
  and 156857 (target to PTX version) and NVIDIA/cuda-python's _ptx_utils.py (PTX version to CUDA)
* last toolkit: docs.nvidia.com/cuda/archive/13.0.0/cuda-toolkit-release-notes (Maxwell, Pascal and
  Volta removed); NixOS/nixpkgs pkgs/development/cuda-modules/_cuda/db/bootstrap/cuda.nix agrees
  (but for sm_72, which it ends at 12.2, the last of that Jetson's own driver). It has the first
  toolkits of suffixes, too: `sm_90a` 12.0, `f` 12.9
* drivers: docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html (table 1) and
  the release notes' table "CUDA Toolkit and Corresponding Driver Versions" (Linux x86-64); the
  names of the toolkits' installers have the same numbers from 11.6 on
* `nvcc --list-gpu-code` of CUDA 13.0.88, in tests/facts/data/toolkits
"""

from collections.abc import Mapping

from llmdecl.values import Value

Release = tuple[int, int]


class NvidiaArchitecture(Value, frozen=True, kw_only=True):
    """One compute capability. `first` and `last` are the CUDA releases that compile for it."""

    generation: str
    cards: tuple[str, ...]
    first: Release
    last: Release | None = None
    embedded: bool = False
    """Of a system on a chip: machine code is for exactly this one."""


_12_9 = (12, 9)
NVIDIA: Mapping[str, NvidiaArchitecture] = {
    "sm_50": NvidiaArchitecture(
        generation="Maxwell",
        cards=("GeForce GTX 750", "GeForce GTX 750 Ti", "Quadro K620", "Quadro K2200"),
        first=(6, 0),
        last=_12_9,
    ),
    "sm_52": NvidiaArchitecture(
        generation="Maxwell",
        cards=("GeForce GTX 950", "GeForce GTX 970", "GeForce GTX 980 Ti", "Tesla M40"),
        first=(6, 5),
        last=_12_9,
    ),
    "sm_53": NvidiaArchitecture(
        generation="Maxwell",
        cards=("Jetson TX1", "Jetson Nano"),
        first=(7, 0),
        last=_12_9,
        embedded=True,
    ),
    "sm_60": NvidiaArchitecture(
        generation="Pascal", cards=("Tesla P100", "Quadro GP100"), first=(8, 0), last=_12_9
    ),
    "sm_61": NvidiaArchitecture(
        generation="Pascal",
        cards=(
            "GeForce GTX 1050",
            "GeForce GTX 1060",
            "GeForce GTX 1080 Ti",
            "Tesla P4",
            "Tesla P40",
        ),
        first=(8, 0),
        last=_12_9,
    ),
    "sm_62": NvidiaArchitecture(
        generation="Pascal", cards=("Jetson TX2",), first=(8, 0), last=_12_9, embedded=True
    ),
    "sm_70": NvidiaArchitecture(
        generation="Volta", cards=("Tesla V100", "TITAN V"), first=(9, 0), last=_12_9
    ),
    "sm_72": NvidiaArchitecture(
        generation="Volta",
        cards=("Jetson AGX Xavier", "Jetson Xavier NX"),
        first=(9, 1),
        last=_12_9,
        embedded=True,
    ),
    "sm_75": NvidiaArchitecture(
        generation="Turing",
        cards=(
            "GeForce GTX 1650",
            "GeForce RTX 2060",
            "GeForce RTX 2080 Ti",
            "Quadro RTX 8000",
            "T4",
        ),
        first=(10, 0),
    ),
    "sm_80": NvidiaArchitecture(generation="Ampere", cards=("A100", "A30"), first=(11, 0)),
    "sm_86": NvidiaArchitecture(
        generation="Ampere",
        cards=("GeForce RTX 3060", "GeForce RTX 3090", "RTX A4000", "RTX A6000", "A10", "A40"),
        first=(11, 1),
    ),
    "sm_87": NvidiaArchitecture(
        generation="Ampere",
        cards=("Jetson Orin Nano", "Jetson Orin NX", "Jetson AGX Orin"),
        first=(11, 4),
        embedded=True,
    ),
    "sm_88": NvidiaArchitecture(
        generation="Ampere", cards=("a system on a chip",), first=(13, 0), embedded=True
    ),
    "sm_89": NvidiaArchitecture(
        generation="Ada Lovelace",
        cards=("GeForce RTX 4060", "GeForce RTX 4090", "RTX 6000 Ada", "L4", "L40S"),
        first=(11, 8),
    ),
    "sm_90": NvidiaArchitecture(
        generation="Hopper", cards=("H100", "H200", "GH200"), first=(11, 8)
    ),
    "sm_100": NvidiaArchitecture(generation="Blackwell", cards=("B200", "GB200"), first=(12, 8)),
    "sm_101": NvidiaArchitecture(
        generation="Blackwell",
        cards=("Jetson Thor, which is `sm_110` from CUDA 13.0 on",),
        first=(12, 8),
        last=_12_9,
        embedded=True,
    ),
    "sm_103": NvidiaArchitecture(generation="Blackwell", cards=("B300", "GB300"), first=(12, 9)),
    "sm_110": NvidiaArchitecture(
        generation="Blackwell",
        cards=("Jetson T5000", "Jetson T4000"),
        first=(13, 0),
        embedded=True,
    ),
    "sm_120": NvidiaArchitecture(
        generation="Blackwell",
        cards=("GeForce RTX 5060", "GeForce RTX 5070", "GeForce RTX 5090", "RTX PRO 6000"),
        first=(12, 8),
    ),
    "sm_121": NvidiaArchitecture(
        generation="Blackwell", cards=("GB10 (DGX Spark)",), first=(12, 9)
    ),
}

MACHINE_CODE_DRIVER: Mapping[int, tuple[int, ...]] = {
    11: (450, 80, 2),
    12: (525, 60, 13),
    13: (580,),
}
"""By major release: the first driver that runs machine code of any of its toolkits."""

PTX_DRIVER: Mapping[Release, tuple[int, ...]] = {
    (11, 0): (450, 36, 6),
    (11, 1): (455, 23),
    (11, 2): (460, 27, 3),
    (11, 3): (465, 19, 1),
    (11, 4): (470, 42, 1),
    (11, 5): (495, 29, 5),
    (11, 6): (510, 39, 1),
    (11, 7): (515, 43, 4),
    (11, 8): (520, 61, 5),
    (12, 0): (525, 60, 13),
    (12, 1): (530, 30, 2),
    (12, 2): (535, 54, 3),
    (12, 3): (545, 23, 6),
    (12, 4): (550, 54, 14),
    (12, 5): (555, 42, 2),
    (12, 6): (560, 28, 3),
    (12, 8): (570, 26),
    (12, 9): (575, 51, 3),
    (13, 0): (580, 65, 6),
    (13, 1): (590, 44, 1),
}
"""By toolkit: the driver that came with it, the first to compile its PTX."""

SUFFIXES: Mapping[str, Release] = {"a": (12, 0), "f": _12_9}
"""The first toolkit with targets of one architecture (`sm_90a`), and of one family (`sm_120f`)."""
