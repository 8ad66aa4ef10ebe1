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
@click.option("--json", "as_json", is_flag=True, help="Print what --output would write.")
@folder_options
def command(spec: Path | None, output: Path | None, as_json: bool, where: Folders) -> int:  # noqa: FBT001  # click's
    """Record what is true here: processor, memory, devices, engines, GGUF headers.

    Without a spec only the machine itself. `llmdecl plan --facts FILE` plans for a recorded
    machine.
    """
    from llmdecl.cli.views.facts import show_facts, show_json, show_written
    from llmdecl.facts.record import write_facts

    if spec is None and not any(Path(name).is_file() for name in SPEC_NAMES):
        facts, found = _machine()
    else:
        facts, found = _stack(find_spec(spec), where)
    if found:
        from llmdecl.cli.views.diagnostics import show

        show(found)
    if as_json and output is None:
        show_json(facts)
    elif output is None:
        show_facts(facts)
    else:
        try:
            write_facts(output, facts)
        except OSError as error:
            raise click.FileError(str(output), error.strerror) from None
        show_written(output, facts)
    return 1 if has_errors(found) else 0


def _machine() -> tuple["Facts", tuple[Diagnostic, ...]]:
    from llmdecl.facts.hardware import look
    from llmdecl.facts.model import Facts

    looked = look(None, {})
    return Facts(host=looked.host, engines={}, weights={}), looked.problems


def _stack(path: Path, where: Folders) -> tuple["Facts", tuple[Diagnostic, ...]]:
    from llmdecl.facts.gather import gather
    from llmdecl.spec.load import place

    loaded, valid = load_valid_spec(path)
    facts, found = gather(valid, load_lock(path), where, path.parent)
    return facts, (*loaded.diagnostics, *place(found, loaded.source))
