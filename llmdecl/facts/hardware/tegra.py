"""NVIDIA's Jetson boards: no PCI device, no memory of their own. Pure.

Chips by the device tree's `compatible`, compute capabilities by NVIDIA's list of CUDA GPUs.
"""

from collections.abc import Mapping

from llmdecl.facts.hardware.cpu import parse_meminfo
from llmdecl.facts.hardware.reading import Reading, Seen, Sighting

CHIPS: Mapping[str, str] = {
    "nvidia,tegra194": "sm_72",  # Xavier
    "nvidia,tegra234": "sm_87",  # Orin
    "nvidia,tegra264": "sm_110",  # Thor
}


def tegra(reading: Reading) -> Seen:
    """The board's graphics, which has all of the board's memory together with the processor."""
    words = (reading.text("/proc/device-tree/compatible") or "").split("\0")
    chip = next((word for word in words if word in CHIPS), None)
    memory = parse_meminfo(reading.text("/proc/meminfo") or "")
    if chip is None or memory is None:
        return (), ()
    model = (reading.text("/proc/device-tree/model") or "").strip("\0 ")
    board = Sighting(
        source="device-tree",
        backend="cuda",
        index=0,
        name=model or chip,
        memory_bytes=memory // (1 << 20) * (1 << 20),
        architecture=CHIPS[chip],
        integrated=True,
        shares_host_memory=True,
        dedicated_bytes=0,
    )
    return (board,), ()
