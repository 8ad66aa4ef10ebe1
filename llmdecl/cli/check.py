"""`llmdecl check`: everything that is wrong, at once."""

import sys
from pathlib import Path

import click

from llmdecl.cli.context import (
    compile_stack,
    facts_option,
    find_spec,
    folder_options,
    lock_path,
    spec_argument,
)
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.paths import Folders


@click.command(name="check")
@spec_argument
@click.option(
    "--format",
    "style",
    type=click.Choice(["human", "concise", "json"]),
    default="human",
    show_default=True,
    help="How to say it.",
)
@click.option(
    "--nix",
    "configuration",
    metavar="FLAKE#nixosConfigurations.HOST",
    help="The spec and lock of a configuration's `services.llmdecl`, before it is built.",
)
@facts_option
@folder_options
def command(
    spec: Path | None,
    *,
    style: str,
    configuration: str | None,
    facts_file: Path | None,
    where: Folders,
) -> int:
    """Say what is wrong with a spec, and change nothing.

    The spec alone is always checked. With a lock beside it the whole stack is: engines, weights,
    flags and memory. Exit status 1 when there is an error; warnings do not count.
    """
    from llmdecl.cli.views.diagnostics import show, show_clean, show_incomplete

    if configuration is not None:
        from llmdecl.cli.checking_nix import problems

        if spec is not None or facts_file is not None:
            raise click.UsageError("--nix takes no SPEC and no --facts.")
        found, complete = problems(configuration)
    else:
        found, complete = _problems(spec, facts_file, where)
    wrong = has_errors(found)
    show(found, style, stream=sys.stdout, complete=complete)
    if style == "human" and not found:
        show_clean(configuration or str(find_spec(spec)))
    if style == "human" and not wrong and not complete:
        show_incomplete()
    return 1 if wrong else 0


def _problems(
    spec: Path | None, facts_file: Path | None, where: Folders
) -> tuple[tuple[Diagnostic, ...], bool]:
    """All that is known to be wrong, and whether the whole stack was looked at."""
    from llmdecl.spec.load import load_spec

    try:
        path = find_spec(spec)
        if not lock_path(path).exists():
            return load_spec(path).diagnostics, False
        return compile_stack(path, where, facts_file=facts_file).diagnostics, True
    except Failure as failure:
        return failure.diagnostics, False
