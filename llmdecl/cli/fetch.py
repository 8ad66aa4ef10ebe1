"""`llmdecl fetch`: bring what the lock names into the store."""

from pathlib import Path

import click

from llmdecl.cli.context import folder_options, load_locked, spec_argument
from llmdecl.diagnostics import Failure, has_errors
from llmdecl.paths import Folders


@click.command(name="fetch")
@spec_argument
@click.option("--dry-run", is_flag=True, help="Only say what would be brought, with sizes.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only a model with all its files, an engine, or a source. May be repeated.",
)
@folder_options
def command(spec: Path | None, *, dry_run: bool, only: tuple[str, ...], where: Folders) -> int:
    """Bring what `llmdecl.lock` names into the store, and verify what is there.

    Every file is compared with its SHA-256. Local files are linked, never copied. What was
    verified stays after a failure, and a download that was cut off goes on where it was; only
    pip's start again. Engines of provider `source` are built by `llmdecl build`. SPEC may be the
    folder of a stored generation, too: units ask so at boot.
    """
    from llmdecl.cli.views.lock import show_fetched, show_missing
    from llmdecl.cli.views.progress import progress_view
    from llmdecl.spec.load import place
    from llmdecl.store.missing import free_bytes, missing
    from llmdecl.store.roots import register
    from llmdecl.store.sharing import in_use
    from llmdecl.store.supply import fetch_stack

    what = load_locked(spec)
    if dry_run:
        show_missing(missing(what.spec, what.lock, where, only), free_bytes(where.store))
        return 0
    before = missing(what.spec, what.lock, where, only)
    register(where.store, what.root)
    with in_use(where.store), progress_view() as progress:
        found = fetch_stack(what.spec, what.lock, what.base, where, only=only, progress=progress)
    found = place((*what.loaded.diagnostics, *found), what.loaded.source)
    if has_errors(found):
        raise Failure(*found)
    show_fetched(before, found)
    return 0
