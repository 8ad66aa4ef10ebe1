"""`llmdecl engine`: the engines of a spec, and the programs that come with them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import find_spec, folder_options, load_lock, load_valid_spec, spec_argument
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.cli.engine_tools import Found


@click.group(name="engine")
def command() -> None:
    """List engines, and run the tools that come with them."""


@command.command(name="list")
@spec_argument
@folder_options
def list_(spec: Path | None, *, where: Folders) -> int:
    """Every engine of the spec: what it is, whether it is here, and its tools."""
    from llmdecl.cli.views.build import show_engines

    show_engines(_found(spec, where))
    return 0


@command.command(
    name="run",
    context_settings={"ignore_unknown_options": True},
)
@click.option("--engine", "name", metavar="NAME", help="Which one, where the spec has several.")
@click.option("--spec", type=click.Path(path_type=Path), help="The spec, or the folder it is in.")
@click.argument("tool")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@folder_options
def run(
    tool: str, arguments: tuple[str, ...], *, name: str | None, spec: Path | None, where: Folders
) -> None:
    """Become TOOL of an engine: `llmdecl engine run llama-bench -- -m model.gguf`.

    TOOL may have any name it ever had: `rpc-server` is `ggml-rpc-server` today.
    """
    import os

    from llmdecl.cli.engine_tools import chosen, require_tool

    program = require_tool(chosen(_found(spec, where), name), tool)
    os.execv(program, [str(program), *arguments])  # noqa: S606  # no shell is meant


def _found(spec: Path | None, where: Folders) -> "tuple[Found, ...]":
    from llmdecl.cli.engine_tools import find

    path = find_spec(spec)
    valid = load_valid_spec(path)[1]
    return find(valid, load_lock(path), path.parent.absolute(), where)
