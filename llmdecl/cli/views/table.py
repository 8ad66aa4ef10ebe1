"""Text in columns."""

from collections.abc import Sequence

import click


def lines(
    rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = ""
) -> list[str]:
    """Rows with columns as wide as their widest cell; `right` are columns set to the right."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        indent
        + "  ".join(
            cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
            for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def show(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    indent: str = "",
) -> None:
    """A table with its head."""
    first, *rest = lines([head, *rows], right=right, indent=indent)
    click.secho(first, bold=True)
    for line in rest:
        click.echo(line)
