"""`llmdecl lock`: resolve and pin what the spec names."""

from pathlib import Path

import click

from llmdecl.cli.context import find_spec, folder_options, load_valid_spec, lock_path, spec_argument
from llmdecl.diagnostics import Failure, has_errors
from llmdecl.paths import Folders


@click.command(name="lock")
@spec_argument
@click.option(
    "--update",
    multiple=True,
    metavar="NAME",
    help="Pin anew: a model with all its files, an engine, or a source. May be repeated.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 2 when the lock is out of date.")
@folder_options
def command(spec: Path | None, update: tuple[str, ...], *, check: bool, where: Folders) -> int:
    """Resolve and pin what the spec names, in `llmdecl.lock` beside it.

    Former pins stay; --update renews them. Weights and engines of a package index are downloaded
    into the store on the way, because their facts are part of the lock.
    """
    if check and update:
        raise click.UsageError("--check writes nothing, so it takes no --update")
    from llmdecl.cli.views.lock import show_behind, show_locked
    from llmdecl.cli.views.progress import progress_view
    from llmdecl.spec.load import place
    from llmdecl.store.changes import compare
    from llmdecl.store.lock import read_lock, write_lock
    from llmdecl.store.model import Lock
    from llmdecl.store.supply import lock_stack, stale

    path = find_spec(spec)
    loaded, valid = load_valid_spec(path)
    target = lock_path(path)
    previous, problems = read_lock(target)
    if has_errors(problems):
        raise Failure(*problems)
    base = path.parent.absolute()
    if check:
        changes = stale(valid, previous, base, where)
        show_behind(target, changes)
        return 2 if changes else 0
    with progress_view() as progress:
        lock, found = lock_stack(valid, base, where, previous, update=update, progress=progress)
    found = place((*loaded.diagnostics, *found), loaded.source)
    if has_errors(found):
        raise Failure(*found)
    write_lock(target, lock)
    show_locked(target, compare(previous or Lock(), lock), found)
    return 0
