"""The declared machine."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.listen import parse_listen
from llmdecl.spec.rules import (
    BAD_DEVICE_ENDPOINT,
    DEVICE_TWICE,
    DUPLICATE_DEVICE,
    MARGIN_ABOVE_RAM,
)
from llmdecl.spec.schema import Device, Spec
from llmdecl.spec.words import shown
from llmdecl.units import format_bytes


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Devices that can't be told apart, margins that leave nothing."""
    if spec.host is None:
        return
    host = spec.host
    if host.ram is not None and host.ram_margin is not None and host.ram_margin >= host.ram:
        yield MARGIN_ABOVE_RAM.at(
            "host.ram-margin",
            f"`ram-margin` {format_bytes(host.ram_margin)} leaves nothing of "
            f"`ram` {format_bytes(host.ram)}",
        )
    seen: dict[str, int] = {}
    for index, device in enumerate(host.devices or ()):
        if device.id in seen:
            first = address("host", "devices", seen[device.id])
            yield DUPLICATE_DEVICE.at(
                address("host", "devices", index, "id"),
                f"device `{device.id}` is `{first}` already",
            )
        seen.setdefault(device.id, index)
    yield from _twice(host.devices or ())
    for index, device in enumerate(host.devices or ()):
        yield from _endpoint(device, index)


def _twice(devices: tuple[Device, ...]) -> Iterator[Diagnostic]:
    """Each device that is an earlier one by `uuid` or `pci`."""
    for index, device in enumerate(devices):
        for earlier in devices[:index]:
            key = _same(earlier, device)
            if key is not None:
                yield DEVICE_TWICE.at(
                    address("host", "devices", index, key),
                    f"device `{device.id}` has the `{key}` of `{earlier.id}`",
                )
                break


def _same(one: Device, other: Device) -> str | None:
    """The key by which both are one device; devices of one `pci` are told apart by `uuid`."""
    if one.uuid is not None and other.uuid is not None:
        return "uuid" if one.uuid == other.uuid else None
    return "pci" if one.pci is not None and one.pci == other.pci else None


def _endpoint(device: Device, index: int) -> Iterator[Diagnostic]:
    """Where a device of another machine is reached."""
    where = address("host", "devices", index, "endpoint")
    match device.backend, device.endpoint:
        case "rpc", None:
            yield BAD_DEVICE_ENDPOINT.at(where, f"device `{device.id}` has no `endpoint`")
        case "rpc", str(text):
            try:
                listen = parse_listen(text)
            except ValueError as error:
                yield BAD_DEVICE_ENDPOINT.at(where, f"`{shown(text)}` is no `HOST:PORT`: {error}")
                return
            if listen.path is not None:
                yield BAD_DEVICE_ENDPOINT.at(where, f"`{shown(text)}` is a socket, no `HOST:PORT`")
        case _, str():
            yield BAD_DEVICE_ENDPOINT.at(
                where, f"device `{device.id}` is a `{device.backend}` device of this machine"
            )
        case _:
            pass
