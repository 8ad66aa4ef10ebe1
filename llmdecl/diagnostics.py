"""What every room says when something is wrong: a value with a code, an address and a place.

A room that finds a problem returns a `Diagnostic` beside its value; nothing is raised across
rooms and nothing is printed outside `cli.views`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error makes exit status 1; a warning says what could not be proved."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a text: lines and columns count from 1, columns in characters, end exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem.

    `summary` stands alone in one line, in lower case without a full stop. `notes` say how we got
    there; `help` holds only remedies that were checked. `address` is the object's path in the
    spec (`models.qwen.ctx-size`), or the name of the thing outside it; `span` is there when the
    reader knew one.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    address: str
    span: Span | None = None
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of problem: its code is for ever, its name is the bad thing, `text` is its page.

    Every room that diagnoses keeps its rules in a literal table `RULES` in its `rules.py`;
    `llmdecl.rules` joins them. `llmdecl explain CODE` prints `text`.
    """

    code: str
    name: str
    severity: Severity
    text: str

    def at(
        self,
        address: str,
        summary: str,
        *,
        span: Span | None = None,
        notes: Iterable[str] = (),
        help: Iterable[str] = (),  # noqa: A002  # the field's own name
    ) -> Diagnostic:
        """This problem, found at `address`."""
        return Diagnostic(
            self.code, self.name, self.severity, summary, address, span, tuple(notes), tuple(help)
        )


class Failure(Exception):  # noqa: N818  # not an error of the program: the world is wrong
    """Ends a verb with diagnostics and an exit status (1 spec or world wrong, 3 a step failed).

    Raised only where effects happen (`sources`, `store`, `activate`, `cli`), never by a pure room.
    """

    def __init__(self, *diagnostics: Diagnostic, status: int = 1) -> None:
        super().__init__("; ".join(d.summary for d in diagnostics))
        self.diagnostics = diagnostics
        self.status = status


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of them is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def rule_table(*rules: Rule) -> dict[str, Rule]:
    """Rules by code; raises ValueError for a code given twice."""
    table = {rule.code: rule for rule in rules}
    if len(table) != len(rules):
        raise ValueError("a diagnostic code is used twice")
    return table
