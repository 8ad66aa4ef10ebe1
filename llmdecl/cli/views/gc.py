"""What `gc` removes, what it leaves, and what counts."""

from collections.abc import Sequence
from pathlib import Path

import click

from llmdecl.facts.gguf_values import printable
from llmdecl.store.gc import Found, Item
from llmdecl.store.roots import Roots
from llmdecl.units import format_bytes


def show_no_store(store: Path) -> None:
    """There is nothing to look at."""
    click.echo(f"{store} does not exist")


def show_dry(found: Found, roots: Roots, cached: Sequence[Path]) -> None:
    """What would go."""
    total = show_removal(found, roots, cached)
    click.echo(
        f"{_count(found.garbage)} to remove, {format_bytes(total)} to free; {found.kept} kept"
        if found.garbage or cached
        else f"nothing to remove; {found.kept} kept"
    )


def show_removal(found: Found, roots: Roots, cached: Sequence[Path]) -> int:
    """What counts, what goes and what is left; the bytes that this frees."""
    for path in roots.files:
        click.secho(f"  counts: {printable(str(path))}", dim=True)
    for _, target in roots.gone:
        click.secho(f"  no longer counts: {printable(str(target))}, which is gone", dim=True)
    for item in found.garbage:
        click.secho(f"- {item.path}  {format_bytes(item.bytes)}, {item.why}", fg="red")
    size = sum(path.stat().st_size for path in cached if path.is_file())
    if cached:
        files = "1 file" if len(cached) == 1 else f"{len(cached)} files"
        why = "of files that are gone or changed, or of builds that no lock names"
        click.secho(f"- cache  {format_bytes(size)}, {files} {why}", fg="red")
    for item in found.left:
        click.secho(printable(f"  {item.path}  left: {item.why}"), fg="yellow")
    return size + sum(item.bytes for item in found.garbage)


def show_removed(found: Found, failed: Sequence[Item], total: int) -> None:
    """What went of what was shown with `total` bytes."""
    lost = {item.path for item in failed}
    gone = [item for item in found.garbage if item.path not in lost]
    total -= sum(item.bytes for item in found.garbage if item.path in lost)
    click.echo(
        f"{_count(gone)} removed, {format_bytes(total)} freed; {found.kept} kept"
        if gone or total
        else f"nothing removed; {found.kept} kept"
    )


def _count(items: Sequence[Item]) -> str:
    return "1 entry" if len(items) == 1 else f"{len(items)} entries"
