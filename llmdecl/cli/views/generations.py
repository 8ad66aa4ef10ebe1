"""Stored generations, for people and for programs."""

from collections.abc import Sequence

import click

from llmdecl.activate.history import Entry
from llmdecl.cli.views import table
from llmdecl.values import Value, to_json


class Listing(Value, frozen=True, kw_only=True):
    """`generations --json`."""

    schema: int = 1
    generations: tuple[Entry, ...]


def show_json(entries: Sequence[Entry]) -> None:
    """As JSON."""
    click.echo(to_json(Listing(generations=tuple(entries))).decode(), nl=False)


def show(entries: Sequence[Entry]) -> None:
    """One line each, newest last."""
    if not entries:
        click.echo("nothing was applied yet")
        return
    rows = [[str(e.number), e.created, _marks(e), _changes(e)] for e in entries]
    table.show(["generation", "written", "", "changes"], rows, right=(0,))


def _marks(entry: Entry) -> str:
    marks = [name for name, holds in (("current", entry.current), ("damaged", not entry.intact))
             if holds]  # fmt: skip
    if entry.wanted and not entry.current:
        marks.append("wanted")
    return ", ".join(marks)


def _changes(entry: Entry) -> str:
    if not entry.changes:
        return ", ".join(entry.models)
    first, *more = entry.changes
    return first + (f" and {len(more)} more" if more else "")
