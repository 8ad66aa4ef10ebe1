"""What `gc` removes, what it leaves, and what counts."""

from collections.abc import Sequence
from pathlib import Path

import click

from llmdecl.store.gc import Found, Item
from llmdecl.store.roots import Roots
from llmdecl.units import format_bytes


def show_dry(store: Path, found: Found | None, roots: Roots | None = None) -> None:
    """What would go; `None` when there is no store."""
    if found is None or roots is None:
        click.echo(f"{store} does not exist")
        return
    _show(found, roots)
    total = sum(item.bytes for item in found.garbage)
    click.echo(
        f"{_count(found.garbage)} to remove, {format_bytes(total)} to free; {found.kept} kept"
        if found.garbage
        else f"nothing to remove; {found.kept} kept"
    )


def show(store: Path, found: Found, roots: Roots, failed: Sequence[Item]) -> None:  # noqa: ARG001  # as show_dry
    """What went."""
    _show(found, roots)
    lost = {item.path for item in failed}
    gone = [item for item in found.garbage if item.path not in lost]
    total = sum(item.bytes for item in gone)
    click.echo(
        f"{_count(gone)} removed, {format_bytes(total)} freed; {found.kept} kept"
        if gone
        else f"nothing removed; {found.kept} kept"
    )


def _show(found: Found, roots: Roots) -> None:
    for path in roots.files:
        click.secho(f"  counts: {path}", dim=True)
    for _, target in roots.gone:
        click.secho(f"  no longer counts: {target}, which is gone", dim=True)
    for item in found.garbage:
        click.secho(f"- {item.path}  {format_bytes(item.bytes)}, {item.why}", fg="red")
    for item in found.left:
        click.secho(f"  {item.path}  left: {item.why}", fg="yellow")


def _count(items: Sequence[Item]) -> str:
    return "1 entry" if len(items) == 1 else f"{len(items)} entries"
