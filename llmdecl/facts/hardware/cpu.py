"""Processor and memory of this machine: files of the kernel, and pure parsers of their texts.

Described in proc(5), cgroups(7) and the kernel's `admin-guide/cgroup-v2.rst`.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from llmdecl.facts.model import CpuFacts

CPUINFO = "proc/cpuinfo"
MEMINFO = "proc/meminfo"
CGROUP = "proc/self/cgroup"
_V1_UNLIMITED = 1 << 60
"""Version 1 says "no limit" with a number near 2^63, rounded down to a page."""


def detect_cpu(root: Path = Path("/")) -> CpuFacts | None:
    """The processors that this process may use; None when the kernel doesn't say."""
    text = _read(root / CPUINFO)
    if text is None:
        return None
    allowed = frozenset(os.sched_getaffinity(0)) if root == Path("/") else None
    cpu = parse_cpuinfo(text, allowed)
    files = quota_files(_read(root / CGROUP) or "")
    quotas = [quota for text in _existing(root, files) if (quota := parse_quota(text))]
    return limit_cores(cpu, min(quotas)) if cpu is not None and quotas else cpu


def detect_ram(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process may use: the machine's, or less by a control group."""
    text = _read(root / MEMINFO)
    total = parse_meminfo(text or "")
    files = memory_files(_read(root / CGROUP) or "")
    limits = (total, *(parse_limit(text) for text in _existing(root, files)))
    return min((limit for limit in limits if limit), default=None)


def parse_cpuinfo(text: str, allowed: frozenset[int] | None = None) -> CpuFacts | None:
    """Of the processors whose numbers are `allowed` (all when None); None when there is none.

    Cores are told apart by package and core number; where the kernel gives none (Arm, some
    virtual machines) every processor is a core. Arm gives no model name.
    """
    processors = [
        fields
        for fields in map(_fields, re.split(r"\n\s*\n", text))
        if fields.get("processor", "").isdigit()
        and (allowed is None or int(fields["processor"]) in allowed)
    ]
    if not processors:
        return None
    first = processors[0]
    cores = {
        (fields.get("physical id", "0"), fields.get("core id", fields["processor"]))
        for fields in processors
    }
    flags = first.get("flags", first.get("Features", ""))
    return CpuFacts(
        model=first.get("model name") or None,
        cores_physical=len(cores),
        cores_logical=len(processors),
        features=tuple(sorted(set(flags.split()))),
    )


def limit_cores(cpu: CpuFacts, quota: float) -> CpuFacts:
    """The same with no more cores than a quota gives time for, rounded up."""
    most = max(1, math.ceil(quota))
    return cpu.replace(
        cores_physical=min(cpu.cores_physical, most), cores_logical=min(cpu.cores_logical, most)
    )


def parse_meminfo(text: str) -> int | None:
    """`MemTotal` in bytes."""
    match = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def memory_files(cgroup: str) -> tuple[str, ...]:
    """Files that may limit the memory of a process with this `/proc/self/cgroup`."""
    return (
        *_group_files(cgroup, "", "sys/fs/cgroup", "memory.max"),
        *_group_files(cgroup, "memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes"),
    )


def quota_files(cgroup: str) -> tuple[str, ...]:
    """Files that may limit its processor time; version 1 has the period in one beside."""
    return (
        *_group_files(cgroup, "", "sys/fs/cgroup", "cpu.max"),
        *_group_files(cgroup, "cpu", "sys/fs/cgroup/cpu", "cpu.cfs_quota_us"),
    )


def _group_files(cgroup: str, controller: str, mount: str, name: str) -> Iterator[str]:
    """The file in this process's group of `controller` and in every group above it.

    In a container the group's own folder is the mount; the outer path is not visible there.
    """
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number.isdigit() and controller in controllers.split(","):
            group = PurePosixPath(path.lstrip("/"))
            if ".." not in group.parts:
                yield from (str(PurePosixPath(mount, up, name)) for up in (group, *group.parents))


def parse_limit(text: str) -> int | None:
    """Bytes, or None for no limit; of `memory.max` and `memory.limit_in_bytes`."""
    text = text.strip()
    return int(text) if text.isdigit() and int(text) < _V1_UNLIMITED else None


def parse_quota(text: str) -> float | None:
    """Processors' worth of time; of `cpu.max` (`150000 100000`) and `cpu.cfs_quota_us`.

    The latter's period is taken as its default, 100 ms.
    """
    quota, _, period = text.strip().partition(" ")
    if not quota.isdigit() or (period and not period.isdigit()):
        return None
    return int(quota) / int(period or 100_000)


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _existing(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Texts of the files that are there."""
    for name in names:
        if text := _read(root / name):
            yield text


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
