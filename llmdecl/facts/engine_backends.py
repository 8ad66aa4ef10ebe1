"""Which ggml backends an engine was built with, whatever devices this machine has."""

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.model import Flag

MARKS: Mapping[str, tuple[bytes, ...]] = {
    "cuda": (b"GGML_CUDA_ENABLE_UNIFIED_MEMORY", b"CUDA_Host"),
    "hip": (b"GGML_CUDA_ENABLE_UNIFIED_MEMORY", b"ROCm_Host"),
    "metal": (b"GGML_METAL_DEVICES",),
    "sycl": (b"GGML_SYCL_DISABLE_OPT",),
    "vulkan": (b"GGML_VK_VISIBLE_DEVICES",),
}
"""What the text of a backend that is linked into the program holds."""


def engine_backends(executable: Path, flags: Sequence[Flag]) -> tuple[str, ...]:
    """By libraries (`libggml-vulkan.so`) in the program's folder or in `../lib`; of a program that
    has none, by what is written in it. `rpc` is there when the flag is (common/arg.cpp:2680)."""
    folder = executable.resolve().parent
    names = [
        path.name for place in (folder, folder.parent / "lib") for path in place.glob("libggml-*")
    ]
    if names:
        found = {name for name in BACKENDS if any(f"libggml-{name}." in lib for lib in names)}
    else:
        found = _written(executable)
    if any("--rpc" in flag.names and flag.removed is None for flag in flags):
        found.add("rpc")
    return tuple(name for name in BACKENDS if name in found)


def _written(executable: Path) -> set[str]:
    try:
        with (
            executable.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            return {
                name for name, marks in MARKS.items() if all(text.find(mark) >= 0 for mark in marks)
            }
    except (OSError, ValueError):
        return set()
