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
    is_flag=False,
    flag_value="*",  # `wanted.EVERYTHING`, whose module is not loaded for `--help`
    metavar="[NAME]",
    help="Pin anew: a model with all its files, an engine, or a source; without NAME everything. "
    "May be repeated. SPEC, if given, stands before it.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit 2 when the lock is out of date. With --update: exit 2 when an "
    "update would change it, such as a moved tag or a re-uploaded file.",
)
@folder_options
def command(spec: Path | None, update: tuple[str, ...], *, check: bool, where: Folders) -> int:
    """Resolve and pin what the spec names, in `llmdecl.lock` beside it.

    Former pins stay; --update renews them. With everything pinned no connection is made. Of
    remote weights only headers are read; those of a package index are downloaded into the
    store on the way, as its engines are, because their facts are part of the lock.
    """
    from llmdecl.cli.views.lock import show_anew, show_behind, show_locked
    from llmdecl.cli.views.progress import progress_view
    from llmdecl.spec.load import place
    from llmdecl.store.changes import Change, compare
    from llmdecl.store.lock import read_lock, write_lock, written_schema
    from llmdecl.store.model import SCHEMA, Lock
    from llmdecl.store.roots import register
    from llmdecl.store.sharing import in_use
    from llmdecl.store.supply import lock_stack, stale
    from llmdecl.store.wanted import users

    path = find_spec(spec)
    loaded, valid = load_valid_spec(path)
    target = lock_path(path)
    previous, problems = read_lock(target)
    if has_errors(problems):
        raise Failure(*problems)
    schema = written_schema(target) if previous is not None else SCHEMA
    base = path.parent.absolute()
    if check and not update:
        changes = stale(valid, previous, base, where)
        show_behind(target, changes, schema=None if schema == SCHEMA else schema)
        return 2 if changes else 0
    with in_use(where.store):
        with progress_view() as progress:
            lock, found = lock_stack(valid, base, where, previous, update=update, progress=progress)
        found = place((*loaded.diagnostics, *found), loaded.source)
        if has_errors(found):
            raise Failure(*found)
        changes = compare(previous or Lock(), lock, users(valid))
        if check:
            show_anew(target, changes, found)
            return 2 if changes else 0
        register(where.store, target)
        write_lock(target, lock)
    if schema != SCHEMA:
        changes = (Change("~", target.name, (f"schema {schema} -> {SCHEMA}",)), *changes)
    show_locked(target, changes, found)
    return 0
