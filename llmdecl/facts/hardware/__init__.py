"""The machine that a stack is for: what the spec declares, the rest detected."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.declared import declared_devices
from llmdecl.facts.hardware import numa
from llmdecl.facts.hardware.cpu import detect_cpu, detect_ram
from llmdecl.facts.hardware.devices import devices_of
from llmdecl.facts.hardware.engines import judged
from llmdecl.facts.hardware.machine import Machine, read
from llmdecl.facts.model import CpuFacts, EngineFacts, HostFacts
from llmdecl.spec.schema import Cpu, Host


class Looked(NamedTuple):
    """The host, engines with the ids of the devices that they list, and what went wrong."""

    host: HostFacts
    engines: Mapping[str, EngineFacts]
    problems: tuple[Diagnostic, ...]


def look(
    host: Host | None,
    engines: Mapping[str, EngineFacts],
    machine: Machine | None = None,
    cache: Path | None = None,
) -> Looked:
    """The host with its accelerators: the declared ones, or else those that are found.

    Declared devices are not looked for, so that a spec that declares them means the same anywhere.
    Slow tools' answers are kept in the folder `cache` as long as they hold.
    """
    machine = machine or Machine(cache=cache)
    facts, problems = host_facts(host, machine.root)
    facts = facts.replace(numa=numa.parse_numa(machine.files(numa.FILES)))
    if host is not None and host.devices is not None:
        _, told = judged(facts.devices, engines, fixed=True)
        return Looked(facts, told, problems)
    devices, told, said = devices_of(read(machine), machine, engines)
    return Looked(facts.replace(devices=devices), told, (*problems, *said))


def host_facts(
    host: Host | None, root: Path = Path("/")
) -> tuple[HostFacts, tuple[Diagnostic, ...]]:
    """Declared values replace detection; what neither gives is 1 core or no memory, and an error.

    Devices are the declared ones only.
    """
    found: list[Diagnostic] = []
    declared_cpu = host.cpu if host else None
    cpu = _declared(declared_cpu)
    if cpu is None:
        cpu = _with(declared_cpu, detect_cpu(root))
        if cpu is None:
            found.append(rules.HOST_UNKNOWN.at("host.cpu", "the processor can't be detected here"))
            cpu = CpuFacts(model=None, cores_physical=1, cores_logical=1, features=())
    ram = host.ram if host and host.ram is not None else detect_ram(root)
    if ram is None:
        found.append(rules.HOST_UNKNOWN.at("host.ram", "the memory can't be detected here"))
    facts = HostFacts(
        name=(host.name if host else None) or platform.node() or "localhost",
        cpu=cpu,
        ram_bytes=ram or 0,
        ram_declared=host is not None and host.ram is not None,
        devices=declared_devices(host),
    )
    return facts, tuple(found)


def _declared(cpu: Cpu | None) -> CpuFacts | None:
    """The processor when the spec says all of it, so that no machine is looked at."""
    if cpu is None or cpu.cores is None or cpu.features is None:
        return None
    features = tuple(sorted(set(cpu.features)))
    return CpuFacts(
        model=None, cores_physical=cpu.cores, cores_logical=cpu.cores, features=features
    )


def _with(declared: Cpu | None, detected: CpuFacts | None) -> CpuFacts | None:
    """What was detected, with what is declared in its place."""
    if declared is None or (declared.cores is None and declared.features is None):
        return detected
    base = detected or CpuFacts(model=None, cores_physical=0, cores_logical=0, features=())
    cores = declared.cores or base.cores_physical
    if not cores:
        return None
    features = base.features if declared.features is None else tuple(sorted(set(declared.features)))
    return CpuFacts(
        model=None if declared.cores else base.model,
        cores_physical=cores,
        cores_logical=declared.cores or base.cores_logical,
        features=features,
    )
