"""What a build costs: measured on this machine, or by a rule of thumb. Says which."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.values import Value, from_json, to_json

GIB = 1 << 30

SECONDS: Mapping[str, float] = {"ASM": 0.5, "C": 2.5, "CUDA": 9.0, "CXX": 5.0, "HIP": 9.0}
"""Seconds of one core for an object: 192 objects of b10434 took two cores 8 minutes, 144
of CUDA 9 to 12. Device code is compiled once for every architecture."""

OBJECT_BYTES: Mapping[str, int] = {"CUDA": 4 << 20, "HIP": 4 << 20}
"""Bytes of an object by language; a mebibyte for others."""

JOB_BYTES: Mapping[str, int] = {"cuda": 3 * GIB, "hip": 3 * GIB, "sycl": 3 * GIB}
"""Memory that one job may take by backend; a gibibyte and a half for the CPU's code."""

TYPICAL: Mapping[str, Mapping[str, int]] = {
    "cpu": {"C": 8, "CXX": 200},
    "cuda": {"CUDA": 144},
    "hip": {"HIP": 144},
    "rpc": {},
    "sycl": {"CXX": 60},
    "vulkan": {"CXX": 160},
}
"""Objects by backend, for a tree that nobody has configured yet."""

VARIANTS = 14 * 14
"""Objects that runtime dispatch adds on x86: variants of the CPU's code times their files."""


class Timing(Value, kw_only=True, frozen=True):
    """One build that went through: seconds of configuring and compiling, with `jobs` at a time."""

    schema: int = 1
    input_hash: str
    objects: Mapping[str, int]
    architectures: int
    jobs: int
    seconds: float
    cached: bool
    """With ccache, so that it says little of the next one."""
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Price:
    """`objects` by language; `basis`: this recipe was built here, others were, or none was.

    `counted`: CMake said how many; else what such an engine usually has. `disk_bytes` are needed
    while it is built, `source_bytes` of them by the tree.
    """

    source_bytes: int | None
    objects: Mapping[str, int]
    counted: bool
    jobs: int
    seconds: float
    basis: Literal["same", "others", "rule"]
    disk_bytes: int


def price(
    recipe: BuildRecipe,
    *,
    objects: Mapping[str, int] | None,
    source_bytes: int | None,
    jobs: int,
    timings: Iterable[Timing],
) -> Price:
    """Pure: the same question has the same answer."""
    counted = objects is not None
    work = objects if objects is not None else typical(recipe)
    rates = [each for each in timings if not each.cached and each.objects]
    same = [each for each in rates if each.input_hash == recipe.input_hash]
    scale = 1.0
    basis: Literal["same", "others", "rule"] = "rule"
    if same or rates:
        basis = "same" if same else "others"
        last = (same or rates)[-1]
        expected = core_seconds(last.objects, last.architectures) / last.jobs
        scale = last.seconds / expected
    architectures = max(1, len(recipe.architectures))
    seconds = scale * core_seconds(work, architectures) / jobs
    size = sum(n * OBJECT_BYTES.get(word, 1 << 20) for word, n in work.items())
    disk = size * 2 + 2 * (source_bytes or 150 << 20)
    if same:
        disk = max(disk, same[-1].disk_bytes)
    return Price(source_bytes, dict(work), counted, jobs, seconds, basis, disk)


def typical(recipe: BuildRecipe) -> Mapping[str, int]:
    """Objects that such an engine usually has."""
    found: dict[str, int] = {}
    for backend in ("cpu", *recipe.backends):
        for language, count in TYPICAL.get(backend, {}).items():
            found[language] = found.get(language, 0) + count
    if recipe.cpu == "dispatch":
        found["CXX"] = found.get("CXX", 0) + VARIANTS
    return found


def core_seconds(objects: Mapping[str, int], architectures: int) -> float:
    """By the rule of thumb."""
    return sum(
        count * SECONDS.get(word, 5.0) * (architectures if word in ("CUDA", "HIP") else 1)
        for word, count in objects.items()
    )


def default_jobs(recipe: BuildRecipe) -> int:
    """By cores, and by what memory is free: a compiler that is killed helps nobody."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    need = max([3 * GIB // 2, *(JOB_BYTES.get(each, 0) for each in recipe.backends)])
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return max(1, min(cores, int(line.split()[1]) * 1024 // need))
    return cores


def read_timings(folder: Path) -> tuple[Timing, ...]:
    """Those of earlier builds on this machine, the latest last."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.glob("*.json"), key=lambda each: each.stat().st_mtime):
            with suppress(OSError, ValueError):
                found.append(from_json(path.read_bytes(), Timing))
    return tuple(found)


def keep_timing(folder: Path, timing: Timing) -> None:
    """For the price of later ones; one that can't be kept is no matter."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f".{timing.input_hash}.{os.getpid()}"
        fresh.write_bytes(to_json(timing))
        fresh.replace(folder / f"{timing.input_hash}.json")
