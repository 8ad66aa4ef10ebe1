"""JSON with line and column. Stricter than Python's: no key twice, no NaN, no half characters."""

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]  # there since Python 2.6

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.spec.address import Path, address, quote_key
from llmdecl.spec.readers.text import (
    MAX_DEPTH,
    Lines,
    Place,
    Places,
    Tree,
    is_too_deep,
    too_deep,
)
from llmdecl.spec.rules import DUPLICATE_KEY, SYNTAX, WRONG_TYPE

_BLANK = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?Infinity|NaN|true|false|null|-?[0-9][0-9.eE+-]*")
_LONGEST_INTEGER = 40
"""Digits; a longer number is out of every range, and is read as 10^40."""


class _RefusedError(Exception):
    """Valid for Python's reader, not for ours; the scanner below knows where."""


class _DeepError(Exception):
    """More levels than `MAX_DEPTH`."""


def parse(text: str, file: str) -> tuple[Tree | None, tuple[Diagnostic, ...]]:
    """The tree, or what is wrong with the text."""
    try:
        tree = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
        )
        json.dumps(tree, ensure_ascii=False).encode()  # lone surrogates can't be encoded
    except json.JSONDecodeError as error:
        return None, (_syntax(error, file),)
    except RecursionError:
        return None, (too_deep(file),)
    except (_RefusedError, UnicodeEncodeError):
        return None, _refused(text, file)
    if is_too_deep(tree):
        return None, (too_deep(file),)
    if not isinstance(tree, dict):
        summary = f"`{file}` is not one object with the spec's keys"
        return None, (WRONG_TYPE.at(file, summary, span=Span(file, 1, 1, 1, 1)),)
    return tree, ()


def places(text: str, file: str) -> Places:
    """Where every key and value stands, in a text that `parse` took."""
    return _scan(text, file).places


def _object(pairs: Sequence[tuple[str, object]]) -> Tree:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _RefusedError
    return table


def _constant(name: str) -> object:
    raise _RefusedError(name)


def _integer(digits: str) -> int:
    if len(digits) <= _LONGEST_INTEGER:
        return int(digits)
    huge: int = 10**_LONGEST_INTEGER
    return -huge if digits.startswith("-") else huge


def _syntax(error: json.JSONDecodeError, file: str) -> Diagnostic:
    message = error.msg[:1].lower() + error.msg[1:]
    span = Span(file, error.lineno, error.colno, error.lineno, error.colno + 1)
    if not error.doc.strip():
        message = "the file is empty"
    return SYNTAX.at(file, f"not valid JSON: {message}", span=span)


def _refused(text: str, file: str) -> tuple[Diagnostic, ...]:
    try:
        return tuple(_scan(text, file).problems)
    except _DeepError:
        return (too_deep(file),)


def _scan(text: str, file: str) -> "_Scanner":
    scanner = _Scanner(text, file)
    scanner.value(scanner.blank(0), (), None, 0)
    return scanner


class _Scanner:
    """Walks a text that is known to be JSON and notes where things stand: a table at its key."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = Lines(text, file)
        self.places: dict[Path, Place] = {}
        self.problems: list[Diagnostic] = []

    def blank(self, at: int) -> int:
        """The next offset that is not blank."""
        match = _BLANK.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, path: Path, key: Span | None, depth: int) -> int:
        """Note the value at `at`; returns the offset behind it."""
        if depth > MAX_DEPTH + 1:
            raise _DeepError
        match self.text[at : at + 1]:
            case "{":
                end = self._table(at, path, depth)
                self.places[path] = Place(key, key or self.lines.span(at, at + 1))
                return end
            case "[":
                end = self._list(at, path, depth)
            case '"':
                _, end = self._string(at, path)
            case _:
                end = self._scalar(at, path)
        self.places[path] = Place(key, self.lines.span(at, end))
        return end

    def _string(self, at: int, path: Path) -> tuple[str, int]:
        string, end = scanstring(self.text, at + 1, True)  # noqa: FBT003  # the C function takes no keywords
        if not _encodable(string):
            self.problems.append(
                SYNTAX.at(
                    address(*path) or self.file,
                    "not valid JSON: a string holds half of a surrogate pair",
                    span=self.lines.span(at, end),
                )
            )
        return string, end

    def _scalar(self, at: int, path: Path) -> int:
        match = _SCALAR.match(self.text, at)
        end = match.end() if match else at + 1
        word = self.text[at:end]
        if word.endswith(("Infinity", "NaN")):
            self.problems.append(
                SYNTAX.at(
                    address(*path) or self.file,
                    f"not valid JSON: `{word}` is not a number",
                    span=self.lines.span(at, end),
                )
            )
        return end

    def _table(self, at: int, path: Path, depth: int) -> int:
        seen: dict[str, Span] = {}
        at = self.blank(at + 1)
        while self.text[at] != "}":
            name, end = self._string(at, path)
            key = self.lines.span(at, end)
            if name in seen:
                self.problems.append(_twice(path, name, key, seen[name]))
            seen.setdefault(name, key)
            at = self.blank(self.blank(end) + 1)  # over the colon
            at = self.blank(self.value(at, (*path, name), key, depth + 1))
            if self.text[at] == ",":
                at = self.blank(at + 1)
        return at + 1

    def _list(self, at: int, path: Path, depth: int) -> int:
        index = 0
        at = self.blank(at + 1)
        while self.text[at] != "]":
            at = self.blank(self.value(at, (*path, index), None, depth + 1))
            index += 1
            if self.text[at] == ",":
                at = self.blank(at + 1)
        return at + 1


def _twice(path: Path, name: str, second: Span, first: Span) -> Diagnostic:
    return DUPLICATE_KEY.at(
        address(*path, name),
        f"`{quote_key(name)}` is given twice",
        span=second,
        notes=(f"first on line {first.line}",),
    )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
