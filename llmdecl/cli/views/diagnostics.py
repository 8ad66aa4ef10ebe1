"""Diagnostics for people (`human`), for editors and logs (`concise`), for programs (`json`)."""

import json
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import click

from llmdecl.diagnostics import Diagnostic, Severity, Span

SCHEMA = 1
"""Version of the JSON form."""

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}
_WIDTH = 100
"""Columns of a source line that are shown; the rest is cut around the place."""
_TAB = 4


def show(
    diagnostics: Sequence[Diagnostic],
    style: str = "human",
    *,
    stream: TextIO | None = None,
    complete: bool = True,
) -> None:
    """Write them, to standard error unless told otherwise. Colours only on a terminal."""
    text = STYLES[style](diagnostics, complete)
    if text:
        click.echo(text, file=stream or sys.stderr)


def human(diagnostics: Sequence[Diagnostic], complete: bool) -> str:  # noqa: ARG001, FBT001  # one signature for all styles
    """Each with its source line, notes and help; a count at the end."""
    if not diagnostics:
        return ""
    return "\n\n".join([*(_block(each) for each in diagnostics), _counted(diagnostics)])


def concise(diagnostics: Sequence[Diagnostic], complete: bool) -> str:  # noqa: ARG001, FBT001  # one signature for all styles
    """One line each: `file:line:column: CODE severity address: summary`."""
    return "\n".join(_line(each) for each in diagnostics)


def as_json(diagnostics: Sequence[Diagnostic], complete: bool) -> str:  # noqa: FBT001  # one signature for all styles
    """One document; `complete` is false when there was no lock to check the whole stack with."""
    errors, warnings = _count(diagnostics)
    document = {
        "schema": SCHEMA,
        "complete": complete,
        "diagnostics": [_object(each) for each in diagnostics],
        "summary": {"errors": errors, "warnings": warnings},
    }
    return json.dumps(document, indent=2)


STYLES: Mapping[str, Callable[[Sequence[Diagnostic], bool], str]] = {
    "human": human,
    "concise": concise,
    "json": as_json,
}


def show_clean(name: str) -> None:
    """That nothing is wrong."""
    click.echo(f"{_clean(name)}: no problems")


def show_incomplete() -> None:
    """How little a check without a lock says."""
    click.echo("nothing is locked yet: `llmdecl lock` pins it, then the whole stack is checked")


def _block(problem: Diagnostic) -> str:
    colour = _COLOURS[problem.severity]
    head = click.style(f"{problem.severity}[{problem.code}]", fg=colour, bold=True)
    lines = [f"{head}: {click.style(_clean(problem.summary), bold=True)}"]
    gutter = len(str(problem.span.line)) if problem.span else 1
    margin = " " * (gutter + 1)
    if problem.span is not None:
        place = f"{problem.span.file}:{problem.span.line}:{problem.span.column}"
        lines.append(f"{margin[1:]}{_blue('-->')} {_clean(place)}  {_clean(problem.address)}")
        lines += _excerpt(problem.span, margin, colour)
    else:
        lines.append(f"{margin[1:]}{_blue('-->')} {_clean(problem.address)}")
    for word, texts in (("note", problem.notes), ("help", problem.help)):
        lines += [
            f"{margin}{_blue('=')} {click.style(word, bold=True)}: {_text(text, margin)}"
            for text in texts
        ]
    return "\n".join(lines)


def _text(text: str, margin: str) -> str:
    """A note may have several lines; they stand under each other."""
    return f"\n{margin}        ".join(_clean(line) for line in text.split("\n"))


def _excerpt(span: Span, margin: str, colour: str) -> list[str]:
    """The source line with the place underlined; nothing when the file can't be read again."""
    lines = _lines_of(span.file)
    if span.line > len(lines):
        return []
    line = lines[span.line - 1]
    end = span.end_column if span.end_line == span.line else len(line) + 1
    before, place = line[: span.column - 1], line[span.column - 1 : end - 1]
    cut = _cut(_shown(before), _WIDTH // 2)
    shown = cut + _shown(line[span.column - 1 :])
    under = click.style("^" * max(1, min(_columns(_shown(place)), _WIDTH)), fg=colour, bold=True)
    bar = _blue("|")
    number = _blue(str(span.line).rjust(len(margin) - 1))
    return [
        f"{margin}{bar}",
        f"{number} {bar} {_fitting(shown)}".rstrip(),
        f"{margin}{bar} {' ' * _columns(cut)}{under}",
    ]


@cache
def _lines_of(file: str) -> tuple[str, ...]:
    try:
        text = Path(file).read_bytes().decode("utf-8", "replace")
    except (OSError, ValueError):
        return ()
    return tuple(line.removesuffix("\r") for line in text.split("\n"))


def _cut(text: str, limit: int) -> str:
    """What stands before a place, without its beginning when that is far away."""
    return text if len(text) <= limit else "..." + text[-limit:]


def _fitting(text: str) -> str:
    return text if len(text) <= 2 * _WIDTH else text[: 2 * _WIDTH] + "..."


def _shown(text: str) -> str:
    """A piece of a source line as displayed: tabs as blanks, nothing that steers a terminal."""
    return "".join(
        " " * _TAB if c == "\t" else c if c.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )


def _columns(text: str) -> int:
    """Columns of a terminal that a text takes: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _clean(text: str) -> str:
    """One line that can't steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _blue(text: str) -> str:
    return click.style(text, fg="blue", bold=True)


def _line(problem: Diagnostic) -> str:
    span = problem.span
    place = f"{span.file}:{span.line}:{span.column}: " if span else ""
    return _clean(f"{place}{problem.code} {problem.severity} {problem.address}: {problem.summary}")


def _object(problem: Diagnostic) -> dict[str, Any]:
    span = problem.span
    return {
        "code": problem.code,
        "name": problem.name,
        "severity": str(problem.severity),
        "summary": problem.summary,
        "address": problem.address,
        "span": None
        if span is None
        else {
            "file": span.file,
            "line": span.line,
            "column": span.column,
            "end_line": span.end_line,
            "end_column": span.end_column,
        },
        "notes": list(problem.notes),
        "help": list(problem.help),
    }


def _count(diagnostics: Sequence[Diagnostic]) -> tuple[int, int]:
    errors = sum(each.severity is Severity.ERROR for each in diagnostics)
    return errors, len(diagnostics) - errors


def _counted(diagnostics: Sequence[Diagnostic]) -> str:
    errors, warnings = _count(diagnostics)
    parts = [
        f"{count} {word}{'s' if count > 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    more = f"`llmdecl explain {diagnostics[0].code}` says more"
    return f"{', '.join(parts)}; {more}"
