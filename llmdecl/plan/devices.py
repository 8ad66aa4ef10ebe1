"""Devices of the host, and what a model's process is told of those that it uses. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.declared import declared_devices
from llmdecl.facts.model import DeviceFacts, EngineDevice, HostFacts
from llmdecl.plan.model import DevicePlan
from llmdecl.spec.schema import Host

HIDING = ("cuda", "hip")
"""Backends that touch a device as soon as they see it: an empty variable hides all of them."""


def host_devices(spec: Host | None, facts: HostFacts) -> tuple[DeviceFacts, ...]:
    """Declared devices replace detected ones."""
    if spec is None or spec.devices is None:
        return facts.devices
    return declared_devices(spec)


def reached(
    devices: Iterable[DeviceFacts],
    backends: Collection[str] | None,
    listed: Collection[EngineDevice] | None = None,
) -> tuple[DevicePlan, ...]:
    """Devices as an engine with these backends reaches them, each by its best; `None`: any.

    Of detected devices only those count that it has `listed`, if it was asked.
    """
    return tuple(_numbered(_through(devices, backends, listed)))


def _through(
    devices: Iterable[DeviceFacts],
    backends: Collection[str] | None,
    listed: Collection[EngineDevice] | None,
) -> Iterator[DeviceFacts]:
    for device in devices:
        if listed is not None and not device.declared:
            lines = [line for line in listed if line.id == device.id]
            line = min(lines, key=lambda line: BACKENDS[line.backend].rank, default=None)
            if line is not None:
                yield device.through(line.backend).replace(engine_index=line.index)
            continue
        ways = dict.fromkeys((device.backend, *device.backends))
        best = next((way for way in ways if backends is None or way in backends), None)
        if best == device.backend:
            yield device
        elif best is not None:
            yield device.through(best)


def _numbered(devices: Iterable[DeviceFacts]) -> Iterator[DevicePlan]:
    counts: Counter[str] = Counter()
    for device in devices:
        index = counts[device.backend] if device.engine_index is None else device.engine_index
        counts[device.backend] += 1
        yield DevicePlan(
            id=device.id,
            backend=device.backend,
            name=device.name or device.id,
            memory_bytes=device.memory_bytes,
            engine_name=f"{BACKENDS[device.backend].device_prefix}{index}",
            architecture=device.architecture,
            uuid=device.uuid,
            endpoint=device.endpoint,
            integrated=device.integrated or False,
            shares_host_memory=device.shares_host_memory,
            dedicated_bytes=device.dedicated_bytes or 0,
        )


def usual(devices: Sequence[DevicePlan]) -> tuple[DevicePlan, ...]:
    """Those that a model uses which names none: integrated ones only where this machine has no
    other, as in llama.cpp (src/llama.cpp:274)."""
    discrete = any(not device.integrated and device.endpoint is None for device in devices)
    return tuple(device for device in devices if not (discrete and device.integrated))


@dataclass(frozen=True, slots=True)
class View:
    """What a process sees of the devices that it uses.

    `names` are the engine's, in the order asked for; `buffers` those of their memory; `rpc` are
    the servers to name; `environment` hides other devices. `pinned`: by UUID or address, so that
    another order of enumeration does no harm.
    """

    names: tuple[str, ...]
    buffers: tuple[str, ...]
    rpc: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    pinned: bool


def view(used: Sequence[DevicePlan], host: Collection[DevicePlan]) -> View:
    """Names and variables for a model on `used`, on a host with the devices `host`.

    A backend whose variable takes UUIDs shows exactly the model's devices, in its order; the
    process counts those from 0. Without UUIDs, and where only numbers are taken, all are seen and
    the model's are named by the number that the driver gave.
    """
    names: dict[str, str] = {}
    buffers: dict[str, str] = {}
    environment: list[tuple[str, str]] = []
    pinned = True
    for backend in dict.fromkeys(device.backend for device in (*used, *host)):
        mine = [device for device in used if device.backend == backend]
        visible = BACKENDS[backend].visible_devices
        prefix = BACKENDS[backend].device_prefix
        if backend == "rpc":
            continue
        if not mine:
            if visible is not None and backend in HIDING:
                environment.append((visible.variable, ""))
        elif visible is not None and visible.takes == "uuid" and all(d.uuid for d in mine):
            uuids = ",".join(str(device.uuid) for device in mine)
            environment.append((visible.variable, uuids))
            names |= {device.id: f"{prefix}{number}" for number, device in enumerate(mine)}
        else:
            pinned = pinned and sum(device.backend == backend for device in host) == 1
            names |= {device.id: device.engine_name for device in mine}
    servers = tuple(dict.fromkeys(device.endpoint for device in used if device.endpoint))
    for name, buffer, device in _remote(servers, host):
        names[device.id], buffers[device.id] = name, buffer
    return View(
        names=tuple(names[device.id] for device in used),
        buffers=tuple(buffers.get(device.id) or names[device.id] for device in used),
        rpc=servers,
        environment=tuple(sorted(environment)),
        pinned=pinned,
    )


def behind(servers: Collection[str], host: Iterable[DevicePlan]) -> tuple[str, ...]:
    """Ids of all devices of these RPC servers. A server has one client at a time, whom the next
    one waits for (ggml/src/ggml-rpc/ggml-rpc.cpp:2144)."""
    return tuple(device.id for device in host if device.endpoint in servers)


def _remote(
    servers: Iterable[str], host: Collection[DevicePlan]
) -> Iterator[tuple[str, str, DevicePlan]]:
    """Devices of the servers named, counted through; a buffer is named after its number there
    (ggml/src/ggml-rpc/ggml-rpc.cpp:1092, 2353)."""
    number = 0
    for server in servers:
        there = [device for device in host if device.endpoint == server]
        for index, device in enumerate(there):
            yield f"RPC{number}", f"RPC{index}[{server}]", device
            number += 1
