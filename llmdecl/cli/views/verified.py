"""What engines said of models that were loaded to see."""

from collections.abc import Sequence

import click

from llmdecl.cli.verifying_plan import Verified, VerifiedPart
from llmdecl.cli.views import table
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.units import format_bytes


def show_verified(
    models: Sequence[Verified], problems: Sequence[Diagnostic], *, as_table: bool
) -> None:
    """A row a part (if `as_table`), then what is wrong; a Failure if an error is among it."""
    if models and as_table:
        click.echo()
        _show(models)
    if has_errors(problems):
        raise Failure(*problems)
    if problems:
        from llmdecl.cli.views.diagnostics import show

        show(tuple(problems))


def _show(models: Sequence[Verified]) -> None:
    rows = []
    for model in models:
        for index, part in enumerate(model.parts):
            first = index == 0
            rows.append([model.model if first else "", model.where if first else "", *_cells(part)])
    head = ["verified", "where", "pool", "part", "planned", "measured", ""]
    table.show(head, rows, right=(4, 5, 6))


def _cells(part: VerifiedPart) -> tuple[str, ...]:
    planned, measured = part.planned_bytes, part.measured_bytes
    difference = f"{100 * (measured - planned) / planned:+.1f} %" if planned else ""
    return (
        part.pool,
        part.part,
        "mapped" if planned is None else format_bytes(planned),
        format_bytes(measured),
        difference,
    )
