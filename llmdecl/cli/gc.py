"""`llmdecl gc`: remove from the store what no lock and no generation names."""

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import click

from llmdecl.cli.context import folder_options
from llmdecl.diagnostics import Failure
from llmdecl.paths import Folders


@click.command(name="gc")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed, with sizes.")
@folder_options
def command(*, dry_run: bool, where: Folders) -> int:
    """Remove from the store what no lock and no generation names.

    Named is what stands in the `llmdecl.lock` of any stack that was locked, fetched or applied
    with this store, and in the lock of each of its stored generations. What a running process
    uses stays, and so does everything that llmdecl did not put there. Files that the store only
    links to are never touched. Of the cache go facts of files that are gone or changed, and logs
    of builds that no lock names.
    """
    from llmdecl.cli.views.gc import show_dry, show_no_store, show_removal, show_removed
    from llmdecl.facts.cache import outdated
    from llmdecl.store.gc import look, named, remove
    from llmdecl.store.processes import entries_in_use
    from llmdecl.store.roots import drop, read_roots
    from llmdecl.store.rules import NOTHING_REGISTERED, STORE_UNUSABLE
    from llmdecl.store.sharing import alone

    store = where.store
    if not store.is_dir():
        show_no_store(store)
        return 0
    with alone(store):
        roots, problems = read_roots(store, [where.state])
        if problems:
            raise Failure(*problems)
        names = named(roots.locks)
        found = look(store, names, entries_in_use(store))
        if found.garbage and not roots.registered and not roots.locks:
            summary = f"`{store}` holds {len(found.garbage)} entries, and no lock is known"
            raise Failure(NOTHING_REGISTERED.at("store", summary))
        cached = (*outdated(where.cache), *_logs(where.cache, names.paths))
        if dry_run:
            show_dry(found, roots, cached)
            return 0
        failed = remove(store, found.garbage)
        drop(store, (name for name, _ in roots.gone))
        size = show_removal(found, roots, cached)
        for path in cached:
            with suppress(OSError):
                path.unlink()
    show_removed(found, failed, size)
    if failed:
        raise Failure(
            *(
                STORE_UNUSABLE.at(item.path, f"`{item.path}` can't be removed: {item.why}")
                for item in failed
            ),
            status=3,
        )
    return 0


def _logs(cache: Path, names: Collection[str]) -> tuple[Path, ...]:
    """Logs of engines that no lock names."""
    logs = sorted((cache / "builds").glob("*-llama.cpp-*.log"))
    return tuple(path for path in logs if f"engines/{path.name.removesuffix('.log')}" not in names)
