"""`llmdecl build`: engines of source into the store."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import (
    SPEC_NAMES,
    find_spec,
    folder_options,
    load_lock,
    load_valid_spec,
    lock_path,
)
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.cli.building import Work
    from llmdecl.diagnostics import Diagnostic


@click.command(name="build")
@click.argument("words", nargs=-1, metavar="[SPEC] [NAME]...")
@click.option(
    "--check",
    is_flag=True,
    help="Build twice, from two source folders, and compare every file; exit 1 when one differs.",
)
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 1024),
    help="Compilers at a time; default: by cores and free memory (3 GiB a job with CUDA or HIP).",
)
@click.option("--dry-run", is_flag=True, help="Only show the price: objects, minutes, disk.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask before a build of more than a minute.")
@folder_options
def command(
    words: tuple[str, ...],
    *,
    check: bool,
    jobs: int | None,
    dry_run: bool,
    yes: bool,
    where: Folders,
) -> int:
    """Build the spec's engines of source (`provider = "source"`), all or those named.

    A build happens at a fixed path in a mount namespace of its own, so that equal recipes give
    equal files; it needs no privilege, CMake, ninja or make, and a C++ compiler. ccache is used
    where it is installed. What is built already is not built again.
    """
    from llmdecl.cli.building import works
    from llmdecl.cli.lifecycle import bring_source
    from llmdecl.cli.views.build import show_nothing, show_price
    from llmdecl.store.roots import register

    path, names = _split(words)
    valid = load_valid_spec(path)[1]
    lock = load_lock(path)
    register(where.store, lock_path(path))
    found = works(valid, lock, where, names, jobs)
    if not found:
        show_nothing(path)
        return 0
    todo = [work for work in found if check or not _is_whole(work, where)]
    for work in found:
        if work not in todo:
            show_price(work, None)
    absent = {work.name for work in todo if not work.source_here}
    if absent and not dry_run:
        bring_source(valid, lock, path.parent.absolute(), where, absent)
        todo = [replace(work, source_here=True) for work in todo]
    seconds = _offer(todo, where, twice=check)
    if todo and not dry_run:
        _carry_out(todo, where, seconds, check=check, yes=yes)
    return 0


def _offer(todo: "list[Work]", where: Folders, *, twice: bool) -> float:
    """Show prices; seconds in all. Objects are counted where the source is here."""
    from llmdecl.cli.building import builder
    from llmdecl.cli.views.build import show_price

    seconds = 0.0
    for work in todo:
        price = builder(where).offer(work.order, configured=work.source_here)
        show_price(work, price, twice=twice)
        seconds += price.seconds * (2 if twice else 1)
    return seconds


def _carry_out(
    todo: "list[Work]", where: Folders, seconds: float, *, check: bool, yes: bool
) -> None:
    """Build, or build twice and compare; a Failure when two builds differ."""
    from llmdecl.cli.building import CONFIRM_S, builder, differing
    from llmdecl.cli.lifecycle import confirm
    from llmdecl.cli.views.build import build_progress, show_outcome
    from llmdecl.diagnostics import Failure
    from llmdecl.store.sharing import in_use

    if seconds > CONFIRM_S:
        confirm("Build?", yes=yes)
    problems: list[Diagnostic] = []
    for work in todo:
        with in_use(where.store), build_progress() as tell:
            doing = builder(where, tell)
            outcome = doing.check(work.order) if check else doing.build(work.order)
        show_outcome(work, outcome, checked=check)
        problems += differing(work, outcome)
    if problems:
        raise Failure(*problems)


def _split(words: tuple[str, ...]) -> tuple[Path, tuple[str, ...]]:
    """The spec, and names of engines: the first word is a spec when it is a path of one."""
    if words and (Path(words[0]).exists() or Path(words[0]).suffix in (".toml", ".json")):
        return find_spec(Path(words[0])), words[1:]
    if words and "/" in words[0]:
        raise click.UsageError(f"`{words[0]}` is neither a spec nor an engine; no {SPEC_NAMES[0]}")
    return find_spec(None), words


def _is_whole(work: "Work", where: Folders) -> bool:
    from llmdecl.cli.building import builder

    return work.built and builder(where).problem(work.order.recipe) is None
