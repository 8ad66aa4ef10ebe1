"""What `facts` says."""

from collections.abc import Iterator
from pathlib import Path

import click

from llmdecl.cli.views import table
from llmdecl.facts.gguf_values import printable
from llmdecl.facts.model import DeviceFacts, EngineFacts, Facts, HostFacts
from llmdecl.units import format_bytes
from llmdecl.values import to_json

_UNKNOWN = "-"


def show_json(facts: Facts) -> None:
    """As the JSON that `--facts` reads."""
    click.echo(to_json(facts), nl=False)


def show_written(path: Path, facts: Facts) -> None:
    """One line: where, and of how much."""
    counts = (
        f"devices: {len(facts.host.devices)}, engines: {len(facts.engines)}, "
        f"sources: {len(facts.weights)}"
    )
    click.echo(f"{path}: {facts.host.name}, {counts}", err=True)


def show_facts(facts: Facts) -> None:
    """The machine, its devices, then engines and sources where there is a spec."""
    host = facts.host
    click.secho(printable(host.name), bold=True)
    for line in table.lines(list(_host(host)), indent="  "):
        click.echo(line)
    click.echo()
    if host.devices:
        _show_devices(host)
    else:
        click.echo("no accelerator: models run on the processor")
    if facts.engines:
        click.echo()
        rows = [
            [name, printable(engine.version), _here(engine), _listed(engine)]
            for name, engine in sorted(facts.engines.items())
        ]
        table.show(("ENGINE", "VERSION", "HERE", "ITS DEVICES"), rows)
    if facts.weights:
        click.echo()
        rows = [
            [printable(source), str(weights.presence), _size(weights.size_bytes)]
            for source, weights in sorted(facts.weights.items())
        ]
        table.show(("SOURCE", "HERE", "SIZE"), rows, right=(2,))


def _host(host: HostFacts) -> Iterator[tuple[str, str]]:
    cpu = host.cpu
    yield "processor", printable(cpu.model or "unknown model")
    yield "cores", f"{cpu.cores_physical}, {cpu.cores_logical} threads"
    if len(host.numa) > 1:
        nodes = (
            f"{node.number}: {format_bytes(node.memory_bytes)}, {len(node.processors)} threads"
            for node in host.numa
        )
        yield "NUMA nodes", "; ".join(nodes)
    yield "memory", format_bytes(host.ram_bytes) + (" (declared)" if host.ram_declared else "")


def _show_devices(host: HostFacts) -> None:
    head = ("DEVICE", "NAME", "MEMORY", "FREE", "KIND", "ARCHITECTURE", "THROUGH", "PCI", "DRIVER")
    rows = [_row(device) for device in host.devices]
    table.show(head, rows, right=(2, 3))
    for device in host.devices:
        for line in _more(device):
            click.echo(f"{device.id}: {printable(line)}")


def _row(device: DeviceFacts) -> list[str]:
    return [
        device.id,
        printable(device.name or _UNKNOWN),
        format_bytes(device.memory_bytes),
        _size(device.free_bytes),
        "declared" if device.declared else "integrated" if device.integrated else "discrete",
        printable(device.architecture or _UNKNOWN),
        ", ".join(dict.fromkeys((device.backend, *device.backends))),
        device.pci or device.endpoint or _UNKNOWN,
        printable(device.driver or _UNKNOWN),
    ]


def _more(device: DeviceFacts) -> Iterator[str]:
    """What few devices have, or what is too long for a column."""
    if device.uuid:
        yield device.uuid
    if device.shares_host_memory:
        yield f"its memory is the host's{_set_apart(device)}"
    for backend in device.backends:
        other = device.through(backend)
        if other.memory_bytes != device.memory_bytes:
            size = format_bytes(other.memory_bytes)
            yield f"through {backend} it has {size}{_set_apart(other)}"
    for use in device.used_by:
        whose = " of llmdecl" if use.own else ""
        yield f"in use: {_size(use.bytes)} by {use.name or 'a process'} ({use.pid}){whose}"


def _set_apart(device: DeviceFacts) -> str:
    own = device.dedicated_bytes or 0
    return f", {format_bytes(own)} of it set apart for the device" if own else ""


def _here(engine: EngineFacts) -> str:
    return "yes" if engine.present else "no"


def _listed(engine: EngineFacts) -> str:
    if engine.devices is None:
        return "not asked"
    names = (line.name + (f" = {line.id}" if line.id else "") for line in engine.devices)
    return ", ".join(names) or "none"


def _size(size: int | None) -> str:
    return _UNKNOWN if size is None else format_bytes(size)
