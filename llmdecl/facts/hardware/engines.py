"""Engines as judges: their `--list-devices` beside the host's devices. Pure."""

import re
from collections.abc import Iterable, Mapping

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.model import DeviceFacts, EngineDevice, EngineFacts, Reach

MEBIBYTE = 1 << 20


def judged(
    devices: tuple[DeviceFacts, ...], engines: Mapping[str, EngineFacts], *, fixed: bool = False
) -> tuple[tuple[DeviceFacts, ...], dict[str, EngineFacts]]:
    """The host's devices as engines list them, and engines with the ids of what they list.

    A device is known again by its backend's number and name, by its name alone, or by its size
    where as many lines as devices are left. A line that is none of them is a device that no probe
    saw. What an engine says of the memory is believed. Declared devices (`fixed`) stay as they
    are.
    """
    known = list(devices)
    result: dict[str, EngineFacts] = {}
    for name in sorted(engines):
        engine = engines[name]
        if engine.devices is None:
            result[name] = engine
            continue
        listed: list[EngineDevice] = []
        left = engine.devices
        for backend in sorted({line.backend for line in left}):
            lines = tuple(line for line in left if line.backend == backend)
            ids = _matched(lines, known, {line.id for line in listed if line.id})
            for line in lines:
                device_id = ids.get(line.index)
                if device_id is None and not fixed and backend != "rpc":
                    device_id = f"gpu{len(known)}"
                    known.append(_of(line, device_id))
                elif device_id is not None and not fixed:
                    at = next(i for i, device in enumerate(known) if device.id == device_id)
                    known[at] = _told(known[at], line)
                listed.append(line.replace(id=device_id))
        order = [line.name for line in engine.devices]
        listed.sort(key=lambda line: order.index(line.name))
        result[name] = engine.replace(devices=tuple(listed))
    if not fixed:
        known = [_preferred(device, result.values()) for device in known]
    return tuple(known), result


def _matched(
    lines: tuple[EngineDevice, ...], devices: list[DeviceFacts], taken: set[str]
) -> dict[int, str]:
    """Ids by the lines' numbers. One line has one device; backends of one engine may share it."""
    if not lines:
        return {}
    backend = lines[0].backend
    ids: dict[int, str] = {}

    def free() -> list[DeviceFacts]:
        return [device for device in devices if device.id not in ids.values()]

    for line in lines:
        for device in free():
            reach = device.reach.get(backend)
            if reach and reach.engine_index == line.index and reach.name == line.description:
                ids[line.index] = device.id
                break
    for line in lines:
        if line.index not in ids:
            named = (d for d in free() if _same_name(line.description, _name(d, backend)))
            match = next(named, None)
            if match is not None:
                ids[line.index] = match.id
    rest = [line for line in lines if line.index not in ids]
    others = [d for d in free() if backend in d.backends and not (d.pci is None and d.id in taken)]
    if len(rest) == len(others):
        rest.sort(key=lambda line: -line.memory_bytes)
        others.sort(key=lambda device: -device.through(backend).memory_bytes)
        ids |= {line.index: device.id for line, device in zip(rest, others, strict=True)}
    return ids


def _name(device: DeviceFacts, backend: str) -> str | None:
    reach = device.reach.get(backend)
    return (reach.name if reach else None) or device.name


def _same_name(one: str, other: str | None) -> bool:
    """Drivers add marks and names of chips in parentheses: `Intel(R) Arc(tm) A770 (DG2)`."""
    plain, its = (re.sub(r"\s*\([^)]*\)", "", name or "").strip().lower() for name in (one, other))
    return bool(plain) and plain == its


def _told(device: DeviceFacts, line: EngineDevice) -> DeviceFacts:
    """With the number and memory that the engine gives it."""
    reach = device.reach.get(line.backend, Reach())
    cuda = device.reach.get("cuda", Reach()).memory_bytes
    memory = line.memory_bytes
    if line.backend == "vulkan" and cuda is not None:
        memory = min(memory, cuda)
    reach = reach.replace(name=line.description, engine_index=line.index, memory_bytes=memory)
    backends = {*device.backends, line.backend}
    told = device.replace(
        backends=tuple(sorted(backends, key=lambda name: BACKENDS[name].rank)),
        reach={**device.reach, line.backend: reach},
    )
    return told.through(told.backend) if told.backend == line.backend else told


def _of(line: EngineDevice, device_id: str) -> DeviceFacts:
    """A device that only an engine knows."""
    reach = Reach(name=line.description, engine_index=line.index, memory_bytes=line.memory_bytes)
    return DeviceFacts(
        id=device_id,
        backend=line.backend,
        name=line.description,
        memory_bytes=line.memory_bytes,
        architecture=None,
        declared=False,
        backends=(line.backend,),
        reach={line.backend: reach},
        engine_index=line.index,
    )


def _preferred(device: DeviceFacts, engines: Iterable[EngineFacts]) -> DeviceFacts:
    """Through the best backend by which an engine of this stack has it."""
    through = {
        line.backend for engine in engines for line in engine.devices or () if line.id == device.id
    }
    best = min(through, key=lambda name: BACKENDS[name].rank, default=device.backend)
    return device if best == device.backend else device.through(best)
