"""Kinds and values in words, for people. Pure."""

import re
from collections.abc import Iterable

from llmdecl.spec.kinds import (
    Choice,
    Either,
    Items,
    Kind,
    Measure,
    Named,
    Number,
    Record,
    Switch,
    Variants,
    Words,
)

NO_LINE = re.compile(r"[\x00-\x1f\x7f]|[\\\s]$")
"""What a line of a unit that has no escapes can't carry: a line break, or what ends or continues a
line."""


def shown(value: object) -> str:
    """A value for people: short, one line, nothing that a terminal would act on."""
    text = value if isinstance(value, str) else _number_text(value)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:80])
    return text if len(text) <= 48 else text[:45] + "..."


def article(value: object) -> str:
    """The type of a value, as in "is a string"."""
    match value:
        case None:
            return "null"
        case bool():
            return "a switch"
        case int():
            return "a whole number"
        case float():
            return "a fraction"
        case str():
            return "a string"
        case list() | tuple():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _number_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 128:
        return "a huge number"
    return str(value)


def listed(words: Iterable[str]) -> str:
    """`a`, `b`, `c`, each quoted."""
    return ", ".join(f"`{word}`" for word in words)


def wanted(kinds: tuple[Kind, ...]) -> str:
    """What a key takes, as in "not a whole number"."""
    return " or ".join(_noun(kind) for kind in kinds)


def _noun(kind: Kind) -> str:  # noqa: C901, PLR0912  # one arm a kind
    match kind:
        case Switch():
            return "`true` or `false`"
        case Number(whole=True):
            return "a whole number"
        case Number():
            return "a number"
        case Measure(form="size" | "size or 0"):
            return "a size such as `24GiB`"
        case Measure(form="ttl"):
            return "a duration such as `30m`, or `never`"
        case Measure():
            return "a duration such as `90s`"
        case Words():
            return "a string"
        case Choice(values=values) if isinstance(values[0], int):
            return "a whole number"
        case Choice(values=values) if len(values) <= 3:
            return " or ".join(f"`{value}`" for value in values)
        case Choice(values=values):
            return f"one of {listed([str(value) for value in values])}"
        case Items(item=item):
            return f"a list of {_plural(item)}"
        case Record() | Variants() | Named():
            return "a table"
        case Either(kinds=kinds):
            return wanted(kinds)


def _plural(kind: Kind) -> str:
    return "tables" if isinstance(kind, Record | Variants | Named) else "strings"
