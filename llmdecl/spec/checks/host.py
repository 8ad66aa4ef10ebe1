"""The declared machine."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.address import address
from llmdecl.spec.rules import DUPLICATE_DEVICE, MARGIN_ABOVE_RAM, UNUSED_DEVICE
from llmdecl.spec.schema import Spec
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
        else:
            yield UNUSED_DEVICE.at(
                address("host", "devices", index),
                f"device `{device.id}` is declared and stays unused: models run on the processor",
            )
        seen.setdefault(device.id, index)
