"""Engines of source: which of a spec are to be built, at what price, and building them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmdecl.builder import rules
from llmdecl.builder.build import Builder, Order, Outcome
from llmdecl.builder.price import Price
from llmdecl.builder.progress import BuildProgress
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.paths import Folders
from llmdecl.spec.schema import SourceEngine, Spec
from llmdecl.store.layout import tree_folder
from llmdecl.store.model import Lock, LockedEngine
from llmdecl.store.pins import pins
from llmdecl.store.rules import LOCK_STALE
from llmdecl.store.store import Store
from llmdecl.store.tools import real_tools
from llmdecl.store.wanted import wanted

if TYPE_CHECKING:
    from llmdecl.facts.model import EngineFacts

CONFIRM_S = 60.0
"""A build that takes longer is asked about."""
SHOWN = 6
"""Flags that a diagnostic names."""


@dataclass(frozen=True, slots=True)
class Work:
    """An engine of source: its order, whether it is built, and whether its source is here."""

    name: str
    order: Order
    built: bool
    source_here: bool


def builder(where: Folders, tell: BuildProgress | None = None) -> Builder:
    """With the stack's store and cache."""
    return Builder(Store(where.store), where.cache, tell)


def works(
    spec: Spec, lock: Lock, where: Folders, names: Iterable[str] = (), jobs: int | None = None
) -> tuple[Work, ...]:
    """Engines of source by name; a Failure with every name that is none, or is not locked."""
    problems: list[Diagnostic] = []
    found: list[Work] = []
    chosen = {want.name: want for want in wanted(spec).engines}
    for name in names:
        if name not in chosen:
            summary = f"the spec has no engine `{name}`"
            notes = [f"engines are {', '.join(f'`{each}`' for each in chosen)}"]
            problems.append(rules.UNKNOWN_ENGINE.at(name, summary, notes=notes))
        elif not isinstance(chosen[name].engine, SourceEngine):
            summary = f"`{name}` has provider `{chosen[name].engine.provider}`, so it is not built"
            problems.append(rules.NOT_BUILT_HERE.at(f"engines.{name}.provider", summary))
    for want in chosen.values():
        if not isinstance(want.engine, SourceEngine) or (names and want.name not in names):
            continue
        locked = lock.engines.get(want.name)
        if locked is None or locked.recipe is None or not pins(want, locked):
            summary = f"`{want.name}` is not locked as it is here"
            problems.append(LOCK_STALE.at(want.address, summary))
        else:
            found.append(_work(want.name, locked, where, jobs))
    if problems:
        raise Failure(*problems)
    return tuple(found)


def _work(name: str, locked: LockedEngine, where: Folders, jobs: int | None) -> Work:
    recipe = locked.recipe
    assert recipe is not None
    tree = where.store / tree_folder(recipe.archive.nar_hash)
    order = Order(
        name=name,
        recipe=recipe,
        tree=lambda _: tree,
        probe=lambda program: _probe(program, name, locked, where),
        jobs=jobs,
    )
    return Work(name, order, builder(where).is_built(recipe), tree.is_dir())


def _probe(
    program: Path, name: str, locked: LockedEngine, where: Folders
) -> tuple[Diagnostic, ...]:
    """Compare what was built with the lock's flag table."""
    address = f"engines.{name}"
    facts, problems = real_tools(where).probe(program, address)
    if facts is None:
        notes = [note for each in problems for note in (each.summary, *each.notes)]
        summary = f"`{name}` was built and does not run here"
        raise Failure(rules.PROBE_FAILED.at(address, summary, notes=notes), status=3)
    return tuple(_flags(name, locked, facts))


def _flags(name: str, locked: LockedEngine, facts: "EngineFacts") -> Iterator[Diagnostic]:
    built = {name for flag in facts.flags for name in flag.names}
    known = {name for flag in locked.flags for name in flag.names}
    if built == known:
        return
    notes = [
        f"{what}: {', '.join(sorted(names)[:SHOWN])}" + (" ..." if len(names) > SHOWN else "")
        for what, names in (
            ("only in what was built", built - known),
            ("only in the lock", known - built),
        )
        if names
    ]
    yield rules.FLAGS_DIFFER.at(
        f"engines.{name}",
        f"`{name}` has {len(built)} flags, and {len(known)} in the lock",
        notes=notes,
        help=[f"`llmdecl lock --update {name}`"],
    )


def differing(work: Work, outcome: Outcome) -> Iterator[Diagnostic]:
    """What a check found."""
    if not outcome.differences:
        return
    count = len(outcome.differences)
    summary = f"two builds of `{work.name}` differ in {count} of {outcome.compared} files"
    notes = [*(f"`{each.path}` {each.how}" for each in outcome.differences), f"log: {outcome.log}"]
    yield rules.BUILDS_DIFFER.at(work.order.address, summary, notes=notes)


def unbuilt(lock: Lock, where: Folders) -> tuple[tuple[Work, Price], ...]:
    """What apply would have to build, and what it costs; nothing is configured for that."""
    found = tuple(
        _work(name, locked, where, None)
        for name, locked in sorted(lock.engines.items())
        if locked.recipe is not None
    )
    return tuple(
        (work, builder(where).offer(work.order, configured=False))
        for work in found
        if not work.built
    )
