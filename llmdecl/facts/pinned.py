"""Facts of a machine that is not here: what the spec declares and the lock pins, and no more.

For compiles inside a Nix build. Every pinned file counts as being there; whether it is, is seen
on the machine.
"""

from pathlib import Path
from typing import NamedTuple

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.declared import declared_devices
from llmdecl.facts.engine import probe_engine
from llmdecl.facts.locked import locked_engine_facts, locked_weights_facts
from llmdecl.facts.model import CpuFacts, EngineFacts, Facts, HostFacts, Presence
from llmdecl.spec.schema import Host, PathEngine, Spec
from llmdecl.store.layout import engine_executable
from llmdecl.store.model import Lock, LockedEngine
from llmdecl.store.pins import pins
from llmdecl.store.providers.provider import locked_engine
from llmdecl.store.wanted import WantedEngine, wanted


class Pinned(NamedTuple):
    """Facts, the lock with the engines that were asked, and what is missing."""

    facts: Facts
    lock: Lock
    problems: tuple[Diagnostic, ...]


def pinned(spec: Spec, lock: Lock) -> Pinned:
    """Facts of spec and lock alone.

    One thing is looked at: an engine at an absolute path that the lock does not pin. Nix gives
    such paths to packages, and what lies there is decided by the path.
    """
    host, found = _host(spec.host)
    engines: dict[str, EngineFacts] = {}
    locked = dict(lock.engines)
    for want in wanted(spec).engines:
        problems = _ask(want, locked)
        found += problems
        engine = locked.get(want.name)
        if engine is not None and pins(want, engine):
            engines[want.name] = _engine(engine)
    weights = {
        key: locked_weights_facts(key, pin, Presence.PRESENT)
        for key in (source.key for source in wanted(spec).sources)
        if (pin := lock.weights.get(key)) is not None
    }
    facts = Facts(host=host, engines=engines, weights=weights)
    return Pinned(facts, lock.replace(engines=locked), found)


def _ask(want: WantedEngine, locked: dict[str, LockedEngine]) -> tuple[Diagnostic, ...]:
    """Pins a program that is not pinned as it says itself."""
    engine, pin = want.engine, locked.get(want.name)
    if not isinstance(engine, PathEngine) or (pin is not None and pins(want, pin)):
        return ()
    path = Path(engine.path)
    if not path.is_absolute():
        return ()
    facts, problems = probe_engine(path, address=f"{want.address}.path")
    if facts is not None:
        locked[want.name] = locked_engine(want, facts, engine.path, None, None)
    return problems


def _engine(pin: LockedEngine) -> EngineFacts:
    place = engine_executable(pin)
    return locked_engine_facts(pin, f"{place.root or ''}{place.text}", present=True)


def _host(host: Host | None) -> tuple[HostFacts, tuple[Diagnostic, ...]]:
    """The declared machine; without accelerators where none are declared."""
    found = []
    cpu = host.cpu if host else None
    for address, what, value in (
        ("host.ram", "memory", host.ram if host else None),
        ("host.cpu.cores", "number of cores", cpu.cores if cpu else None),
        ("host.cpu.features", "processor's features", cpu.features if cpu else None),
    ):
        if value is None:
            summary = f"the host's {what} must be declared: a build looks at no machine"
            note = "`llmdecl facts`, on the machine, says it"
            found.append(rules.HOST_UNKNOWN.at(address, summary, notes=[note]))
    cores = (cpu.cores if cpu else None) or 1
    features = (cpu.features if cpu else None) or ()
    facts = HostFacts(
        name=(host.name if host else None) or "localhost",
        cpu=CpuFacts(
            model=None,
            cores_physical=cores,
            cores_logical=cores,
            features=tuple(sorted({*features})),
        ),
        ram_bytes=(host.ram if host else None) or 0,
        ram_declared=True,
        devices=declared_devices(host),
    )
    return facts, tuple(found)
