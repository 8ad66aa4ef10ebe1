"""What `lock` and `fetch` say when they are done."""

from collections.abc import Sequence
from pathlib import Path

import click

from llmdecl.diagnostics import Diagnostic
from llmdecl.store.changes import Change
from llmdecl.store.missing import Missing
from llmdecl.store.model import SCHEMA
from llmdecl.units import format_bytes

COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def show_changes(changes: Sequence[Change]) -> None:
    """One line each; below it the reasons, where there are several."""
    for change in changes:
        if change.sign != "~" or len(change.reasons) < 2:
            click.secho(str(change), fg=COLOURS[change.sign])
            continue
        click.secho(f"{change.sign} {change.what}{change.touched}", fg=COLOURS[change.sign])
        for reason in change.reasons:
            click.echo(f"    {reason}")


def show_behind(lock: Path, changes: Sequence[Change], *, schema: int | None) -> None:
    """Why the lock is out of date, or that it is not; `schema` when its file has a former one."""
    show_changes(changes)
    click.echo(f"{lock} is {'out of date' if changes else 'up to date'}")
    if schema is not None:
        click.echo(f"it has schema {schema}; `llmdecl lock` writes schema {SCHEMA}")


def show_anew(lock: Path, changes: Sequence[Change], problems: Sequence[Diagnostic]) -> None:
    """What an update would change; nothing was written."""
    _warn(problems)
    show_changes(changes)
    if changes:
        click.echo(f"{lock}: an update would make {_count(changes)}; nothing was written")
    else:
        click.echo(f"{lock}: an update would change nothing")


def show_locked(lock: Path, changes: Sequence[Change], problems: Sequence[Diagnostic]) -> None:
    """What was pinned otherwise than before, with warnings."""
    _warn(problems)
    show_changes(changes)
    click.echo(f"{lock}: {_count(changes)}" if changes else f"{lock}: no changes")


def _count(changes: Sequence[Change]) -> str:
    return "1 change" if len(changes) == 1 else f"{len(changes)} changes"


def show_missing(missing: Sequence[Missing], free_bytes: int) -> None:
    """What a fetch would bring, how, and whether there is room for it."""
    for each in missing:
        click.echo(f"+ {each.name}  {_way(each)}")
    brought = [each for each in missing if each.way != "build" or each.bytes]
    total = sum(each.bytes for each in brought)
    line = f"{len(brought)} to bring, {format_bytes(total)} to download"
    if built := sum(each.way == "build" for each in missing):
        line += f", {built} to build"
    click.echo(line)
    kept = sum(
        each.bytes if each.stored_bytes is None else each.stored_bytes - each.arrived_bytes
        for each in brought
    )
    if kept > free_bytes:
        lacks = f"{format_bytes(kept)} are kept of it, and {format_bytes(free_bytes)} are free"
        click.secho(f"the store has too little room: {lacks}", fg="red")
    elif kept:
        click.echo(f"{format_bytes(free_bytes)} are free where the store is")


def _way(each: Missing) -> str:
    match each.way:
        case "link":
            return "link to the local file"
        case "adopt":
            return f"use what {each.program} has here, once it is verified"
        case "build":
            source = f"download {format_bytes(each.bytes)} of source, " if each.bytes else ""
            return f"{source}is built by `llmdecl build`"
        case "nix":
            return "comes from Nix, which knows the size"
        case "download":
            return _download(each)


def _download(each: Missing) -> str:
    text = f"download {format_bytes(each.bytes)}"
    if each.arrived_bytes:
        text += f" more, {format_bytes(each.arrived_bytes)} are here"
    if each.program:
        text += f", use parts that {each.program} has here"
    if each.stored_bytes is not None:
        text += f", keep {format_bytes(each.stored_bytes)}"
    return text


def show_fetched(brought: Sequence[Missing], problems: Sequence[Diagnostic]) -> None:
    """That all is there, with warnings."""
    _warn(problems)
    brought = [each for each in brought if each.way != "build" or each.bytes]
    total = sum(each.bytes for each in brought)
    click.echo(
        f"{len(brought)} brought, {format_bytes(total)} downloaded; all verified"
        if brought
        else "nothing to bring; all verified"
    )


def _warn(problems: Sequence[Diagnostic]) -> None:
    if problems:
        from llmdecl.cli.views.diagnostics import show

        show(problems)
