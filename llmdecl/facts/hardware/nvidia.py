"""NVIDIA's cards, from NVML's reading or nvidia-smi's texts. Pure.

A card reports its memory in all and what driver and firmware keep (`reserved`); the difference,
in whole MiB, is what `cudaMemGetInfo` calls total and llama.cpp prints.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring

from llmdecl.facts.hardware.probes import NVIDIA, gpus, has_nvidia
from llmdecl.facts.hardware.reading import (
    Reading,
    Said,
    Seen,
    Sighting,
    Trouble,
    pci_address,
    sections,
)
from llmdecl.facts.hardware.reading import number as parsed
from llmdecl.values import Value, from_json

MEBIBYTE = 1 << 20
_MIG_LINE = re.compile(r"^\s+(MIG \S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)]+)\)", re.MULTILINE)
_CARD_LINE = re.compile(r"^GPU (\d+): (.*) \(UUID: (GPU-[^)]+)\)", re.MULTILINE)


class NvmlDevice(Value, frozen=True, kw_only=True):
    """A card or, with `instance_of`, a MIG instance. Bytes; None for what it doesn't support."""

    index: int
    name: str | None
    uuid: str | None
    pci: str | None
    memory_total: int | None
    memory_reserved: int | None
    memory_free: int | None
    compute_capability: tuple[int, int] | None
    mig: bool = False
    instance_of: str | None = None
    processes: tuple[tuple[int, str | None, int | None], ...] = ()


class NvmlReading(Value, frozen=True, kw_only=True):
    """All cards, each before its instances."""

    driver: str | None
    devices: tuple[NvmlDevice, ...]


def nvidia(reading: Reading) -> Seen:
    """Cards and MIG instances, and why there are none where the hardware is there."""
    if not has_nvidia(reading):
        return (), ()
    nvml = reading.said("nvml")
    troubles: tuple[Trouble, ...] = ()
    if nvml.ok:
        try:
            return _of_nvml(from_json(nvml.text, NvmlReading))
        except ValueError:
            troubles = (_failed("NVML", nvml),)
    if nvml.problem == "hangs":
        return (), (_failed("NVML", nvml),)
    smi = reading.said("nvidia-smi")
    old = reading.said("nvidia-smi-old")
    if smi.ok or old.ok:
        return _of_smi(reading, smi if smi.ok else old)
    if smi.problem != "absent":
        return (), (_failed("nvidia-smi", smi),)
    if nvml.problem != "absent" and nvml.status != 3:
        return (), troubles or (_failed("NVML", nvml),)
    return (), tuple(
        Trouble(
            kind="device",
            subject=address,
            summary=f"the NVIDIA device at {address} can't be used: its driver answers nobody",
            notes=("neither NVML nor nvidia-smi is there; is NVIDIA's driver installed?",),
        )
        for address, vendor in gpus(reading).items()
        if vendor == NVIDIA and not _otherwise_driven(reading, address)
    )


def _otherwise_driven(reading: Reading, address: str) -> bool:
    """Whether nouveau has it, which knows nothing of CUDA, or a virtual machine (vfio)."""
    text = reading.text(f"/sys/bus/pci/devices/{address}/uevent") or ""
    return re.search(r"^DRIVER=(nouveau|vfio-pci)$", text, re.MULTILINE) is not None


def _failed(name: str, said: Said) -> Trouble:
    """What a tool's last words mean to people."""
    words = [line.strip() for line in said.text.splitlines() if line.strip()]
    if said.problem == "hangs":
        summary = f"{name} did not answer in time"
    elif said.problem == "refused":
        summary = f"{name} may not be started by this user"
    else:
        summary = f"{name} answered with status {said.status}"
    notes = [f"it said: {line[:200]}" for line in words[:3]]
    if any("ersion mismatch" in line for line in words):
        notes.append("the driver was updated while the old one is loaded: restart the machine")
    return Trouble(kind="probe", subject=name, summary=summary, notes=tuple(notes))


def _of_nvml(reading: NvmlReading) -> Seen:
    found: list[Sighting] = []
    troubles: list[Trouble] = []
    parents = {device.instance_of for device in reading.devices}
    for device in reading.devices:
        if device.mig:
            if device.uuid not in parents:
                troubles.append(_no_instance(pci_address(device.pci) or "?"))
            continue
        card = next((d for d in reading.devices if d.uuid == device.instance_of), device)
        capability = device.compute_capability or card.compute_capability
        found.append(
            Sighting(
                source="nvml",
                backend="cuda",
                name=device.name,
                memory_bytes=usable(device.memory_total, device.memory_reserved),
                free_bytes=device.memory_free,
                architecture=f"sm_{capability[0]}{capability[1]}" if capability else None,
                driver=reading.driver,
                pci=pci_address(device.pci or card.pci),
                uuid=device.uuid,
                instance=device.instance_of is not None,
                integrated=None if device.memory_total else True,
                shares_host_memory=not device.memory_total,
                used_by=device.processes,
            )
        )
    return tuple(found), tuple(troubles)


def usable(total: int | None, reserved: int | None) -> int | None:
    """Whole MiB that programs can have; 0 and None are a device without memory of its own."""
    if not total:
        return None
    return (total - (reserved or 0)) // MEBIBYTE * MEBIBYTE


def _no_instance(address: str) -> Trouble:
    return Trouble(
        kind="device",
        subject=address,
        summary=f"the NVIDIA device at {address} is in MIG mode and has no instance to use",
        notes=("create instances with `nvidia-smi mig -cgi PROFILE -C`, or turn MIG off",),
    )


def _of_smi(reading: Reading, said: Said) -> Seen:
    """Of `--query-gpu` as CSV; instances of `-L` and `-q -x`."""
    found: list[Sighting] = []
    troubles: list[Trouble] = []
    uses = tuple(_uses(reading.said("nvidia-smi-apps")))
    instances = _instances(reading)
    for row in _rows(said.text):
        if len(row) < 7:
            continue
        index, name, uuid, pci, total, *rest = row
        reserved, free, driver, mig, capability = (
            rest if len(rest) == 5 else ["", *rest, "", ""][:5]
        )
        address = pci_address(pci)
        card = Sighting(
            source="nvidia-smi",
            backend="cuda",
            name=name,
            memory_bytes=usable(_mebibytes(total), _mebibytes(reserved)),
            free_bytes=_mebibytes(free),
            architecture=f"sm_{capability.replace('.', '')}" if _is_number(capability) else None,
            driver=driver,
            pci=address,
            uuid=uuid,
            integrated=None if _mebibytes(total) else True,
            shares_host_memory=not _mebibytes(total),
            used_by=tuple(use for owner, use in uses if owner == uuid),
        )
        if mig != "Enabled":
            found.append(card)
            continue
        parts = instances.get(int(index) if index.isdigit() else -1, ())
        found += [
            card.replace(
                name=f"{name} {part}",
                memory_bytes=_floored(memory),
                free_bytes=free_bytes,
                uuid=instance,
                instance=True,
                integrated=None,
                shares_host_memory=False,
                used_by=tuple(use for owner, use in uses if owner == instance),
            )
            for part, instance, memory, free_bytes in parts
        ]
        if not parts:
            troubles.append(_no_instance(address or "?"))
    if said.text.strip() and not found and not troubles:
        troubles.append(_failed("nvidia-smi", said))
    return tuple(found), tuple(troubles)


def _floored(size: int | None) -> int | None:
    return None if size is None else size // MEBIBYTE * MEBIBYTE


_Instance = tuple[str, str, int | None, int | None]


def _instances(reading: Reading) -> dict[int, tuple[_Instance, ...]]:
    """By card: name and UUID from `-L`, memory from `-q -x`, joined by the instances' numbers."""
    memory = {
        (card, number): sizes
        for card, gpu in enumerate(_xml(reading.said("nvidia-smi-xml").text, "gpu"))
        for number, sizes in _memory_of_instances(gpu)
    }
    found: dict[int, tuple[_Instance, ...]] = {}
    text = reading.said("nvidia-smi-list").text
    for match, lines in sections(text, list(_CARD_LINE.finditer(text))):
        card = int(match[1])
        found[card] = tuple(
            (line[1], line[3], *memory.get((card, int(line[2])), (None, None)))
            for line in _MIG_LINE.finditer(lines)
        )
    return found


def _memory_of_instances(gpu: Element) -> Iterator[tuple[int, tuple[int | None, int | None]]]:
    for instance in gpu.iterfind("mig_devices/mig_device"):
        number = parsed(instance.findtext("index"))
        usage = instance.find("fb_memory_usage")
        if number is None or usage is None:
            continue
        total, reserved, free = (
            _mebibytes((usage.findtext(key) or "").removesuffix(" MiB"))
            for key in ("total", "reserved", "free")
        )
        yield number, (usable(total, reserved), free)


def _xml(text: str, tag: str) -> list[Element]:
    """Elements of a text of nvidia-smi; none when it is broken or brings entities along."""
    if "<!ENTITY" in text:
        return []
    try:
        return list(fromstring(text).iterfind(tag))  # noqa: S314  # no entities, see above
    except ParseError:
        return []


def _uses(said: Said) -> Iterator[tuple[str, tuple[int | None, str | None, int | None]]]:
    """Owner's UUID, and process number, name and bytes; of `--query-compute-apps`."""
    for row in _rows(said.text if said.ok else ""):
        if len(row) >= 4:
            name = ", ".join(row[2:-1])
            known = None if name.startswith("[") else name
            yield row[0], (parsed(row[1]), known, _mebibytes(row[-1]))


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.strip():
            yield [cell.strip() for cell in line.split(",")]


def _mebibytes(text: str) -> int | None:
    """Bytes of a number in MiB; None for `[N/A]` and `[Not Supported]`."""
    return int(text) * MEBIBYTE if text.isascii() and text.isdigit() else None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+\.\d", text) is not None
