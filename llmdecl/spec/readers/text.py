"""What the readers share: text and its places, and the problems of bytes that are no text."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.spec.address import Path
from llmdecl.spec.rules import BAD_ENCODING, TOO_DEEP

Tree = dict[str, object]
"""A spec before anything is known of it: dicts, lists, strings, numbers, booleans, dates, None."""

MAX_DEPTH = 24
"""Levels of nesting; the language itself needs 5."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thing stands: its key (None in lists) and its value (None for an implied table).

    The value of a table with a header is the header.
    """

    key: Span | None
    value: Span | None


Places = Mapping[Path, Place]


@dataclass(frozen=True, slots=True)
class Reader:
    """A language. Both functions take text and file name; `places` may know none."""

    parse: Callable[[str, str], tuple[Tree | None, tuple[Diagnostic, ...]]]
    places: Callable[[str, str], Places]


class Lines:
    """Offsets of a text as lines and columns, both from 1; only a line feed ends a line."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in characters."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """From `start` up to and without `end`."""
        return Span(self._file, *self.place(start), *self.place(end))


def decode(data: bytes, file: str) -> str | Diagnostic:
    """The text of `data`, which has to be UTF-8 without a byte order mark."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return BAD_ENCODING.at(file, f"`{file}` is UTF-16, not UTF-8", span=_at(file, 1, 1))
    if data.startswith(b"\xef\xbb\xbf"):
        return BAD_ENCODING.at(
            file, f"`{file}` begins with a byte order mark", span=_at(file, 1, 1)
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        return BAD_ENCODING.at(
            file,
            f"`{file}` is not UTF-8: byte 0x{data[error.start]:02x} belongs to no character",
            span=_at(file, line, column),
        )


def _at(file: str, line: int, column: int) -> Span:
    return Span(file, line, column, line, column + 1)


def too_deep(file: str) -> Diagnostic:
    """The tree of `file` has more levels than can be meant."""
    summary = f"`{file}` nests tables and lists more than {MAX_DEPTH} levels deep"
    return TOO_DEEP.at(file, summary, span=Span(file, 1, 1, 1, 1))


def is_too_deep(tree: object) -> bool:
    """Whether a tree has more than `MAX_DEPTH` levels; does not recurse."""
    level: list[object] = [tree]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        if not below:
            return False
        level = below
    return True
