"""`llmdecl gc`: remove from the store what no lock and no generation names."""

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
    links to are never touched.
    """
    from llmdecl.cli.views.gc import show, show_dry
    from llmdecl.store.gc import look, named, remove
    from llmdecl.store.processes import entries_in_use
    from llmdecl.store.roots import drop, read_roots
    from llmdecl.store.rules import NOTHING_REGISTERED, STORE_UNUSABLE
    from llmdecl.store.sharing import alone

    store = where.store
    if not store.is_dir():
        show_dry(store, None)
        return 0
    with alone(store):
        roots, problems = read_roots(store, [where.state])
        if problems:
            raise Failure(*problems)
        found = look(store, named(roots.locks), entries_in_use(store))
        if found.garbage and not roots.registered and not roots.locks:
            summary = f"`{store}` holds {len(found.garbage)} entries, and no lock is known"
            raise Failure(NOTHING_REGISTERED.at("store", summary))
        if dry_run:
            show_dry(store, found, roots)
            return 0
        failed = remove(store, found.garbage)
        drop(store, (name for name, _ in roots.gone))
    show(store, found, roots, failed)
    if failed:
        raise Failure(
            *(
                STORE_UNUSABLE.at(item.path, f"`{item.path}` can't be removed: {item.why}")
                for item in failed
            ),
            status=3,
        )
    return 0
