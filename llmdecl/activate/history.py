"""What `generations` lists."""

from llmdecl.activate.diff import diff
from llmdecl.activate.generations import Generation, Generations
from llmdecl.activate.live import Live
from llmdecl.activate.observe import version_in_force
from llmdecl.diagnostics import Failure
from llmdecl.values import Value

NOTHING_RUNS = Live(manager=None, router=None, wanted=None, current=None)
"""For a comparison of two stored stacks."""


class Entry(Value, frozen=True, kw_only=True):
    """A stored generation. `changes` are the reasons by which it differs from the one before."""

    number: int
    created: str
    current: bool
    wanted: bool
    intact: bool
    models: tuple[str, ...]
    changes: tuple[str, ...]


def history(generations: Generations) -> tuple[Entry, ...]:
    """All that are stored, ascending."""
    pointed = generations.pointer("current"), generations.pointer("wanted")
    entries: list[Entry] = []
    before: Generation | None = None
    for number in generations.numbers():
        try:
            one = generations.load(number)
        except Failure:
            entries.append(_entry(number, None, before, pointed, intact=False))
            continue
        intact = not generations.damage(one)
        entries.append(_entry(number, one, before, pointed, intact=intact))
        before = one
    return tuple(entries)


def _entry(
    number: int,
    one: Generation | None,
    before: Generation | None,
    pointed: tuple[int | None, int | None],
    *,
    intact: bool,
) -> Entry:
    return Entry(
        number=number,
        created=one.manifest.created if one else "",
        current=pointed[0] == number,
        wanted=pointed[1] == number,
        intact=intact,
        models=tuple(model.name for model in one.plan.models) if one else (),
        changes=_between(before, one) if one else (),
    )


def _between(before: Generation | None, one: Generation) -> tuple[str, ...]:
    planned = version_in_force(one)
    if before is None or planned is None:
        return ()
    found = diff(version_in_force(before), planned, NOTHING_RUNS).changes
    return tuple(f"{c.address}: {c.reason}" for c in found if c.symbol != "!")
