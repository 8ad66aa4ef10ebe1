"""One device out of all probes' views of it. Pure.

What counts as one: a PCI address, or a MIG instance's UUID; a board has at most one device without
either. A card in MIG mode is none. Discrete devices come first, then by PCI address, so that ids
stay when a driver counts otherwise.
"""

from collections.abc import Iterable
from typing import Any

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.hardware.reading import Sighting, Trouble
from llmdecl.facts.model import DeviceFacts, MemoryUse, Reach

MEBIBYTE = 1 << 20


def merge(
    sightings: Iterable[Sighting], *, ram_bytes: int | None, vulkan_asked: bool
) -> tuple[tuple[DeviceFacts, ...], tuple[Trouble, ...]]:
    """Devices with ids `gpu0` on; of one field the first probe that knows it is believed.

    A device that nothing proves to be reached is taken to be a Vulkan device, unless Vulkan was
    asked (`vulkan_asked`) and doesn't have it.
    """
    groups = _groups(_numbered(tuple(sightings)))
    devices: list[DeviceFacts] = []
    troubles: list[Trouble] = []
    for group in sorted(groups, key=_order):
        device = _device(group, f"gpu{len(devices)}", ram_bytes, vulkan_asked=vulkan_asked)
        if device is not None:
            devices.append(device)
        elif not _first(group, "integrated"):
            name = _first(group, "name") or _first(group, "driver") or "device"
            place = _first(group, "pci")
            troubles.append(
                Trouble(
                    kind="device",
                    subject=str(place),
                    summary=f"the {name} at {place} is left out: its memory or what reaches it is "
                    "unknown",
                    notes=("`vulkaninfo` or an engine that lists it would tell",),
                )
            )
    return tuple(devices), tuple(troubles)


def _numbered(sightings: tuple[Sighting, ...]) -> tuple[Sighting, ...]:
    """CUDA counts the fastest first, and equal cards by PCI address: only those are numbered."""
    cards = [s for s in sightings if s.backend == "cuda" and s.index is None]
    if any(card.instance for card in cards) or len({card.name for card in cards}) != 1:
        return sightings
    order = sorted(cards, key=lambda card: card.pci or "")
    return tuple(s.replace(index=order.index(s)) if s in cards else s for s in sightings)


def _groups(sightings: tuple[Sighting, ...]) -> list[tuple[Sighting, ...]]:
    cut = {s.pci for s in sightings if s.instance}
    addresses = {s.uuid: s.pci for s in sightings if s.uuid and s.pci}
    groups: dict[str, tuple[Sighting, ...]] = {}
    for s in sightings:
        if s.instance:
            key = f"{s.pci} {s.uuid}"
        elif s.pci in cut and s.pci is not None:
            continue
        else:
            alone = "board" if s.integrated else f"{s.source} {s.index}"
            key = s.pci or addresses.get(s.uuid or "") or alone
            if key in cut:
                continue
        groups[key] = (*groups.get(key, ()), s)
    return list(groups.values())


def _order(group: tuple[Sighting, ...]) -> tuple[bool, str]:
    """Instances of one card keep the driver's order, because sorting is stable."""
    return bool(_first(group, "integrated")), _first(group, "pci") or "~"


def _first(group: tuple[Sighting, ...], field: str) -> Any:
    return next((v for s in group if (v := getattr(s, field)) is not None), None)


def _device(
    group: tuple[Sighting, ...], name: str, ram_bytes: int | None, *, vulkan_asked: bool
) -> DeviceFacts | None:
    proved = sorted({s.backend for s in group if s.backend}, key=lambda b: BACKENDS[b].rank)
    backends = tuple(proved) or (() if vulkan_asked else ("vulkan",))
    shares = any(s.shares_host_memory for s in group)
    reach = {backend: _reach(group, backend, ram_bytes if shares else None) for backend in backends}
    if not backends or not reach[backends[0]].memory_bytes:
        backends = tuple(b for b in backends if reach[b].memory_bytes)
        if not backends:
            return None
    device = DeviceFacts(
        id=name,
        backend=backends[0],
        name=_first(group, "name"),
        memory_bytes=0,
        architecture=_first(group, "architecture"),
        declared=False,
        backends=backends,
        reach={backend: reach[backend] for backend in backends},
        free_bytes=_first(group, "free_bytes"),
        driver=_first(group, "driver"),
        pci=_first(group, "pci"),
        uuid=_first(tuple(s for s in group if s.backend != "vulkan"), "uuid"),
        integrated=bool(_first(group, "integrated")),
        shares_host_memory=shares,
        used_by=next(
            (
                tuple(MemoryUse(pid=pid, name=who, bytes=size) for pid, who, size in s.used_by)
                for s in group
                if s.used_by
            ),
            (),
        ),
    )
    return device.through(backends[0])


def _reach(group: tuple[Sighting, ...], backend: str, ram_bytes: int | None) -> Reach:
    """What its own probe says, else what any says; all of RAM where the driver has no number."""
    own = tuple(s for s in group if s.backend == backend)
    memory = _first(own, "memory_bytes") or _first(group, "memory_bytes")
    cuda = _first(tuple(s for s in group if s.backend == "cuda"), "memory_bytes")
    if memory is not None and cuda is not None:
        memory = min(memory, cuda)  # NVIDIA's Vulkan counts what firmware keeps, and BAR twice
    if memory is None and ram_bytes is not None and backend == "cuda":
        memory = ram_bytes // MEBIBYTE * MEBIBYTE
    dedicated = _first(own, "dedicated_bytes")
    if dedicated is None:
        dedicated = _first(group, "carve_out_bytes")
    return Reach(
        name=_first(own, "name"),
        engine_index=_first(own, "index"),
        memory_bytes=memory,
        dedicated_bytes=dedicated,
    )
