"""Devices that engines ought to list and don't. Pure.

An engine with a backend for a device lists it, unless that device's driver is too old for the
engine's libraries, is broken, or hides it. What no engine of the stack lists can't be used, however
well other probes know it.
"""

from collections.abc import Mapping

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.hardware.reading import Trouble
from llmdecl.facts.model import DeviceFacts, EngineFacts


def unlisted(
    devices: tuple[DeviceFacts, ...], engines: Mapping[str, EngineFacts]
) -> tuple[tuple[DeviceFacts, ...], tuple[Trouble, ...]]:
    """Devices without the backends through which no engine has them; ids stay as they are."""
    left: list[DeviceFacts] = []
    troubles: list[Trouble] = []
    for device in devices:
        silent = {backend: _silent(device, backend, engines) for backend in device.backends}
        ways = tuple(backend for backend in device.backends if not silent[backend])
        if ways == device.backends:
            left.append(device)
            continue
        names = ", ".join(f"`{name}`" for name in sorted({n for s in silent.values() for n in s}))
        lost = " or ".join(backend for backend in device.backends if silent[backend])
        outcome = f"it is used through {ways[0]}" if ways else "nothing is placed on it"
        prefix = BACKENDS[device.backend].device_prefix
        troubles.append(
            Trouble(
                kind="unlisted",
                subject=device.id,
                summary=f"engine {names} doesn't list `{device.id}` ({device.name}) as a {lost} "
                f"device: {outcome}",
                notes=(
                    f"ask it: `llama-server --list-devices` shows no line `{prefix}N: ...` for it",
                ),
            )
        )
        if ways:
            best = device.backend if device.backend in ways else ways[0]
            reach = {backend: device.reach[backend] for backend in ways if backend in device.reach}
            left.append(device.replace(backends=ways, reach=reach).through(best))
    return tuple(left), tuple(troubles)


def _silent(device: DeviceFacts, backend: str, engines: Mapping[str, EngineFacts]) -> list[str]:
    """Engines with the backend that were asked, when none of them lists the device.

    Of MIG instances CUDA shows the first; the others are there when it shows one.
    """
    asked = {
        name: engine.devices
        for name, engine in engines.items()
        if engine.devices is not None and backend in (engine.backends or ())
    }
    lines = [line for found in asked.values() for line in found if line.backend == backend]
    instance = (device.uuid or "").startswith("MIG-") and bool(lines)
    return [] if instance or any(line.id == device.id for line in lines) else sorted(asked)
