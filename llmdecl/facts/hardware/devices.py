"""The accelerators of a machine, and what is said of them. Pure but for the reading."""

from collections.abc import Mapping
from typing import Protocol

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.hardware.amd import amd
from llmdecl.facts.hardware.cpu import parse_meminfo
from llmdecl.facts.hardware.engines import judged
from llmdecl.facts.hardware.intel import intel
from llmdecl.facts.hardware.merge import merge
from llmdecl.facts.hardware.nvidia import nvidia
from llmdecl.facts.hardware.reading import Reading, Sighting, Trouble
from llmdecl.facts.hardware.tegra import tegra
from llmdecl.facts.hardware.unlisted import unlisted
from llmdecl.facts.hardware.vulkan import vulkan
from llmdecl.facts.model import DeviceFacts, EngineFacts
from llmdecl.units import format_bytes

ADDRESS = "host.devices"
LOUD_BYTES = 512 << 20
"""Use by others below this is not spoken of: a desktop, within the usual margin."""
MAKERS = (nvidia, tegra, amd, intel, vulkan)
"""In the order in which they are believed."""


_RULES = {
    "probe": rules.PROBE_FAILED,
    "device": rules.DEVICE_UNUSABLE,
    "unlisted": rules.DEVICE_UNLISTED,
}


class Processes(Protocol):
    """What is known of the processes of this machine."""

    def is_own(self, pid: int) -> bool:
        """Whether it belongs to an llmdecl stack."""

    def command(self, pid: int) -> str | None:
        """Its name."""


def devices_of(
    reading: Reading, processes: Processes, engines: Mapping[str, EngineFacts]
) -> tuple[tuple[DeviceFacts, ...], dict[str, EngineFacts], tuple[Diagnostic, ...]]:
    """Devices, engines that know them by id, and what could not be found out."""
    sightings: list[Sighting] = []
    troubles: list[Trouble] = []
    for maker in MAKERS:
        seen, trouble = maker(reading)
        sightings += seen
        troubles += trouble
    found, more = merge(
        sightings,
        ram_bytes=parse_meminfo(reading.text("/proc/meminfo") or ""),
        vulkan_asked=reading.said("vulkaninfo").ok,
    )
    named, told = judged(found, engines)
    heard = {device.pci for device in named} | {trouble.subject for trouble in troubles}
    troubles += (trouble for trouble in more if trouble.subject not in heard)
    listed, lost = unlisted(named, told)
    troubles += lost
    devices = tuple(_used(device, processes) for device in listed)
    said = (*map(_diagnostic, troubles), *(d for device in devices for d in _in_use(device)))
    return devices, told, said


def _diagnostic(trouble: Trouble) -> Diagnostic:
    return _RULES[trouble.kind].at(ADDRESS, trouble.summary, notes=trouble.notes)


def _used(device: DeviceFacts, processes: Processes) -> DeviceFacts:
    """With names of processes, and whether they are ours."""
    return device.replace(
        used_by=tuple(
            use.replace(name=use.name or processes.command(use.pid), own=processes.is_own(use.pid))
            if use.pid is not None
            else use
            for use in device.used_by
        )
    )


def _in_use(device: DeviceFacts) -> tuple[Diagnostic, ...]:
    """Memory that others hold: it is part of the budget, and may not be there."""
    others = sorted(
        (use for use in device.used_by if not use.own and use.bytes),
        key=lambda use: (-(use.bytes or 0), use.pid or 0),
    )
    taken = sum(use.bytes or 0 for use in others)
    if taken < LOUD_BYTES:
        return ()
    summary = (
        f"`{device.id}` has {format_bytes(taken)} of {format_bytes(device.memory_bytes)} in use "
        "by other programs; plans count on all of it"
    )
    notes = tuple(
        f"{use.name or 'a process'} ({use.pid}): {format_bytes(use.bytes or 0)}"
        for use in others[:5]
    )
    return (rules.DEVICE_IN_USE.at(f"{ADDRESS}.{device.id}", summary, notes=notes),)
