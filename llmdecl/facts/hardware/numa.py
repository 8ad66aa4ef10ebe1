"""NUMA nodes, from `/sys/devices/system/node` (kernel's `stable/sysfs-devices-node`). Pure."""

import re
from collections.abc import Iterator, Mapping

from llmdecl.facts.model import NumaNode

FILES = ("/sys/devices/system/node/node*/cpulist", "/sys/devices/system/node/node*/meminfo")


def parse_numa(files: Mapping[str, str | None]) -> tuple[NumaNode, ...]:
    """Nodes by number; one without processors has only memory (CXL), one without memory is none."""
    nodes: list[NumaNode] = []
    for path, text in files.items():
        match = re.fullmatch(r"/sys/devices/system/node/node(\d{1,4})/meminfo", path)
        total = re.search(r"MemTotal:\s+(\d{1,15}) kB", text or "")
        if match is None or total is None or not int(total[1]):
            continue
        processors = files.get(f"/sys/devices/system/node/node{match[1]}/cpulist")
        nodes.append(
            NumaNode(
                number=int(match[1]),
                processors=tuple(_ranges(processors or "")),
                memory_bytes=int(total[1]) * 1024,
            )
        )
    return tuple(sorted(nodes, key=lambda node: node.number))


def _ranges(text: str) -> Iterator[int]:
    """`0-3,8` as 0, 1, 2, 3, 8; what is no such list is nothing."""
    for part in text.strip().split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        if match:
            yield from range(int(match[1]), int(match[2] or match[1]) + 1)
