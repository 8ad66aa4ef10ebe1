"""What a lasting answer about devices depends on: the boot, device nodes, drivers."""

import os
from pathlib import Path

from llmdecl.facts.cache import Identity, identity
from llmdecl.facts.hardware.probes import NODES, VULKAN_DRIVERS
from llmdecl.values import Value


class Drivers(Value, kw_only=True, frozen=True):
    """Equal values mean that a tool or an engine would list the same devices."""

    boot: str
    nodes: tuple[str, ...]
    """Those that this user may open."""
    vulkan: tuple[Identity, ...]


def drivers(root: Path = Path("/")) -> Drivers:
    """This machine's, now."""
    boot = root / "proc/sys/kernel/random/boot_id"
    nodes = (path for pattern in NODES for path in sorted(root.glob(pattern.lstrip("/"))))
    files = (path for pattern in VULKAN_DRIVERS for path in sorted(root.glob(pattern.lstrip("/"))))
    return Drivers(
        boot=boot.read_text().strip() if boot.exists() else "",
        nodes=tuple(str(path) for path in nodes if os.access(path, os.R_OK | os.W_OK)),
        vulkan=tuple(identity(path) for path in files if path.exists()),
    )
