"""Devices that a spec declares, as facts. Pure."""

from llmdecl.facts.model import DeviceFacts
from llmdecl.spec.schema import Host


def declared_devices(host: Host | None) -> tuple[DeviceFacts, ...]:
    """`[[host.devices]]` in their order; none where the spec leaves detection on."""
    return tuple(
        DeviceFacts(
            id=device.id,
            backend=device.backend,
            name=device.name,
            memory_bytes=device.memory,
            architecture=device.architecture,
            declared=True,
            backends=(device.backend,),
            pci=device.pci,
            uuid=device.uuid,
            integrated=device.integrated or False,
            shares_host_memory=device.integrated or False,
            endpoint=device.endpoint,
        )
        for device in (host.devices if host else None) or ()
    )
