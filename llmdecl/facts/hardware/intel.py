"""Intel's cards, from the files of i915 and xe. Pure.

Their memory is in files only where the driver has `lmem_total_bytes`; Vulkan or the engine knows it
everywhere. Without oneAPI's runtime nobody can tell whether SYCL would run, so only an engine that
lists a device proves that.
"""

import re

from llmdecl.facts.hardware.probes import INTEL, gpus
from llmdecl.facts.hardware.reading import Reading, Seen, Sighting

_GRAPHICS_OF_PROCESSORS = "00:02.0"
"""Where every Intel processor has its graphics (on bus 0, device 2)."""


def intel(reading: Reading) -> Seen:
    """Each of i915's and xe's devices."""
    return tuple(
        sighting
        for address, vendor in gpus(reading).items()
        if vendor == INTEL and (sighting := _sighting(reading, address)) is not None
    ), ()


def _sighting(reading: Reading, address: str) -> Sighting | None:
    folder = f"/sys/bus/pci/devices/{address}"
    driver = re.search(r"^DRIVER=(i915|xe)$", reading.text(f"{folder}/uevent") or "", re.MULTILINE)
    if driver is None:
        return None
    sizes = {
        path.rpartition("/")[2]: reading.number(path)
        for path in reading.files
        if path.startswith(f"{folder}/drm/card") and "/lmem_" in path
    }
    integrated = address.endswith(_GRAPHICS_OF_PROCESSORS) and address.startswith("0000:")
    kernel = reading.text("/proc/sys/kernel/osrelease")
    return Sighting(
        source="intel",
        memory_bytes=sizes.get("lmem_total_bytes"),
        free_bytes=sizes.get("lmem_avail_bytes"),
        driver=f"{driver[1]} of Linux {kernel or '?'}",
        pci=address,
        integrated=integrated,
        shares_host_memory=integrated,
    )
