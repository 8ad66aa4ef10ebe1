"""Device nodes that this user may not open: the usual reason for a device that nobody sees."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

OPENED: Mapping[str, tuple[str, ...]] = {
    "cuda": ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia[0-9]*"),
    "hip": ("/dev/kfd", "/dev/dri/renderD*"),
    "vulkan": ("/dev/dri/renderD*", "/dev/nvidiactl", "/dev/nvidia[0-9]*"),
    "sycl": ("/dev/dri/renderD*",),
}
"""What a backend opens."""


def closed_nodes(backends: Iterable[str], root: Path = Path("/")) -> tuple[str, ...]:
    """Nodes of these backends that are there and closed to this user."""
    patterns = dict.fromkeys(pattern for name in backends for pattern in OPENED.get(name, ()))
    found = (path for pattern in patterns for path in sorted(root.glob(pattern.lstrip("/"))))
    return tuple(str(path) for path in found if not os.access(path, os.R_OK | os.W_OK))
