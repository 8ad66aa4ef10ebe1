"""`llmdecl facts`: what is true here, as a file that `--facts` replays."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import (
    SPEC_NAMES,
    find_spec,
    folder_options,
    load_lock,
    load_valid_spec,
    spec_argument,
)
from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.facts.model import Facts


@click.command(name="facts")
@spec_argument
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write there instead of to the standard output.",
)
@folder_options
def command(spec: Path | None, output: Path | None, where: Folders) -> int:
    """Record what is true here: processor, memory, devices, engines, GGUF headers.

    Without a spec only the machine itself. `llmdecl plan --facts FILE` plans for a recorded
    machine.
    """
    from llmdecl.cli.views.facts import show_facts, show_written
    from llmdecl.facts.record import write_facts

    if spec is None and not any(Path(name).is_file() for name in SPEC_NAMES):
        facts, found = _machine()
    else:
        facts, found = _stack(find_spec(spec), where)
    if found:
        from llmdecl.cli.views.diagnostics import show

        show(found)
    if output is None:
        show_facts(facts)
    else:
        try:
            write_facts(output, facts)
        except OSError as error:
            raise click.FileError(str(output), error.strerror) from None
        show_written(output, facts)
    return 1 if has_errors(found) else 0


def _machine() -> tuple["Facts", tuple[Diagnostic, ...]]:
    from llmdecl.facts.hardware import host_facts
    from llmdecl.facts.model import Facts

    host, found = host_facts(None)
    return Facts(host=host, engines={}, weights={}), found


def _stack(path: Path, where: Folders) -> tuple["Facts", tuple[Diagnostic, ...]]:
    from llmdecl.facts.gather import gather
    from llmdecl.spec.load import place

    loaded, valid = load_valid_spec(path)
    facts, found = gather(valid, load_lock(path), where, path.parent)
    return facts, (*loaded.diagnostics, *place(found, loaded.source))
