"""Devices with a Vulkan driver, from `vulkaninfo`. Pure.

They are counted as llama.cpp counts them (ggml-vulkan.cpp:5281): what the loader enumerates,
without processors that pretend to be graphics (llvmpipe) and without a second driver's view.
"""

import re
from collections.abc import Iterator

from llmdecl.facts.hardware.probes import NVIDIA
from llmdecl.facts.hardware.reading import Reading, Seen, Sighting, Trouble, number, sections

_SECTION = re.compile(r"^(?:Device Properties and Extensions|Devices):\s*\n=+\s*$", re.MULTILINE)
_DEVICE = re.compile(r"^GPU(?: id : )?\s?(\d+)\b.*$", re.MULTILINE)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*(.+?)\s*$", re.MULTILINE)
_HEAP = re.compile(
    r"memoryHeaps\[\d+\]:\s*size\s*=\s*(\d+).*?(?=memoryHeaps\[|memoryTypes|\Z)", re.DOTALL
)
_DISCRETE, _INTEGRATED = "DISCRETE_GPU", "INTEGRATED_GPU"
_PREFERRED = (
    ("MESA_RADV", 1),
    ("AMD_OPEN_SOURCE", 2),
    ("AMD_PROPRIETARY", 3),
    ("INTEL_OPEN_SOURCE_MESA", 1),
    ("INTEL_PROPRIETARY", 2),
    ("NVIDIA_PROPRIETARY", 1),
    ("MESA_NVK", 2),
    ("MESA_DOZEN", 100),
)
"""Drivers of one device: the lowest is kept (:5330); others come last."""


def vulkan(reading: Reading) -> Seen:
    """Graphics devices, and a tool that fails with any but the words for "no driver"."""
    said = reading.said("vulkaninfo")
    devices = _kept(list(_devices(said.text)))
    if not devices:
        devices = _kept(list(_devices(reading.said("vulkaninfo-summary").text)))
    if devices or said.problem == "absent" or "ERROR_INCOMPATIBLE_DRIVER" in said.text:
        return tuple(_sighting(index, device) for index, device in enumerate(devices)), ()
    if said.ok:
        return (), ()
    words = [line.strip()[:200] for line in said.text.splitlines() if line.strip()]
    reason = "did not answer in time" if said.problem == "hangs" else f"failed ({said.status})"
    notes = tuple(f"it said: {line}" for line in words[-2:])
    return (), (
        Trouble(kind="probe", subject="vulkaninfo", summary=f"vulkaninfo {reason}", notes=notes),
    )


def _devices(text: str) -> Iterator[dict[str, str]]:
    """Fields of each device by vulkaninfo's names, its text under an empty name.

    The sections before hold the same headings for what can be shown on a screen.
    """
    section = None
    for section in _SECTION.finditer(text):  # noqa: B007  # the last one counts
        pass
    if section is None:
        return
    text = text[section.end() :]
    for _, part in sections(text, list(_DEVICE.finditer(text))):
        fields: dict[str, str] = {"": part}
        for field in _FIELD.finditer(part):
            fields.setdefault(field[1], field[2])
        if "deviceType" in fields:
            yield fields


def _kept(devices: list[dict[str, str]]) -> list[dict[str, str]]:
    """Graphics only, each device by its preferred driver."""
    kept: list[dict[str, str]] = []
    for device in devices:
        if not device["deviceType"].endswith((_DISCRETE, _INTEGRATED)):
            continue
        uuid = device.get("deviceUUID")
        same = [k for k in kept if uuid is not None and k.get("deviceUUID") == uuid]
        if not same:
            kept.append(device)
        elif _priority(device) < _priority(same[0]):
            kept.remove(same[0])
            kept.append(device)
    return kept


def _priority(device: dict[str, str]) -> int:
    driver = device.get("driverID", "")
    return next((rank for word, rank in _PREFERRED if word in driver), 1 << 30)


def _sighting(index: int, device: dict[str, str]) -> Sighting:
    integrated = device["deviceType"].endswith(_INTEGRATED)
    sizes = [
        int(heap[1])
        for heap in _HEAP.finditer(device[""])
        if integrated or "DEVICE_LOCAL" in heap[0]
    ]
    uuid = device.get("deviceUUID")
    driver = " ".join(device[key] for key in ("driverName", "driverInfo") if key in device)
    return Sighting(
        source="vulkan",
        backend="vulkan",
        index=index,
        name=device.get("deviceName"),
        memory_bytes=sum(sizes) // (1 << 20) * (1 << 20) or None,
        driver=driver or device.get("driverVersion"),
        pci=_pci(device),
        uuid=f"GPU-{uuid}"
        if uuid and uuid.strip("0-") and number(device.get("vendorID")) == NVIDIA
        else None,
        integrated=integrated,
        shares_host_memory=integrated,
    )


def _pci(device: dict[str, str]) -> str | None:
    """Of the extension's fields; a summary lacks them, and RADV has them in its UUID, too."""
    parts = [number(device.get(key)) for key in ("pciDomain", "pciBus", "pciDevice", "pciFunction")]
    if None in parts:
        words = re.fullmatch(
            r"([0-9a-f]{8})-([0-9a-f]{4})-0000-([0-9a-f]{4})-0000([0-9a-f]{8})",
            device.get("deviceUUID", ""),
        )
        if words is None or "RADV" not in device.get("driverID", ""):
            return None
        parts = [int.from_bytes(bytes.fromhex(word), "little") for word in words.groups()]
    domain, bus, slot, function = (part or 0 for part in parts)
    return f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
