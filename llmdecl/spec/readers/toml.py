"""TOML: values by the standard library, places by `readers.toml_places` when needed."""

import re
import tomllib

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.spec.address import address, quote_key
from llmdecl.spec.readers.text import MAX_DEPTH, Lines, Places, Tree, is_too_deep, too_deep
from llmdecl.spec.rules import DUPLICATE_KEY, SYNTAX

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TWICE = ("Cannot overwrite a value", "Cannot declare", "Cannot mutate immutable namespace")
_TOKEN = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'|[ \t]+|(\.)|.""")
_LONG_NUMBER = re.compile(r"[0-9_]{1000,}")

_MAX_PARTS = 4 * MAX_DEPTH


def parse(text: str, file: str) -> tuple[Tree | None, tuple[Diagnostic, ...]]:
    """The tree, or what is wrong with the text."""
    if _has_endless_key(text):
        return None, (too_deep(file),)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, (_problem(str(error), text, file),)
    except RecursionError:
        return None, (too_deep(file),)
    except ValueError:  # int() refuses more than some thousand digits, and dates have their own
        return None, (_number(text, file),)
    if is_too_deep(tree):
        return None, (too_deep(file),)
    return tree, ()


def places(text: str, file: str) -> Places:
    """Where every key and value stands; nothing without the optional `tree-sitter-toml`."""
    from llmdecl.spec.readers.toml_places import find_places

    return find_places(text, file).places


def _has_endless_key(text: str) -> bool:
    """Whether some key has far more parts than a tree may have levels.

    `tomllib` keeps every prefix of a dotted key: memory grows with the square of its parts.
    """
    return any(line.count(".") > _MAX_PARTS and _is_endless(line) for line in text.split("\n"))


def _is_endless(line: str) -> bool:
    parts = 0
    after_dot = True
    for match in _TOKEN.finditer(line):
        token = match[0]
        if match[1]:
            after_dot = True
        elif not token.isspace():
            named = token[0] in "\"'" or token[0].isalnum() or token[0] in "_-"
            parts = parts + 1 if after_dot and named else 0
            after_dot = False
        if parts > _MAX_PARTS:
            return True
    return False


def _problem(message: str, text: str, file: str) -> Diagnostic:
    """From the words of `tomllib`, which carry line and column."""
    what = _AT.sub("", message)
    span = _span(message, text, file)
    if what.startswith(_TWICE):
        return _twice(text, file, span)
    return SYNTAX.at(file, f"not valid TOML: {what[:1].lower()}{what[1:]}", span=span)


def _span(message: str, text: str, file: str) -> Span:
    match = _AT.search(message)
    if match is not None and match[1] is not None:
        line, column = int(match[1]), int(match[2])
    else:
        line, column = Lines(text, file).place(len(text.rstrip()))
    return Span(file, line, column, line, column + 1)


def _twice(text: str, file: str, span: Span) -> Diagnostic:
    """A key given twice: exact with places, else the line that `tomllib` names."""
    from llmdecl.spec.readers.toml_places import find_places

    repeated = find_places(text, file).repeated
    if not repeated:
        line = text.split("\n")[span.line - 1]
        start = len(line) - len(line.lstrip()) + 1
        whole = Span(file, span.line, start, span.line, max(span.column, start + 1))
        return DUPLICATE_KEY.at(file, "a key or table is given twice", span=whole)
    path, first, second = repeated[0]
    return DUPLICATE_KEY.at(
        address(*path),
        f"`{quote_key(str(path[-1]))}` is given twice",
        span=second,
        notes=(f"first on line {first.line}",),
    )


def _number(text: str, file: str) -> Diagnostic:
    match = _LONG_NUMBER.search(text)
    span = Lines(text, file).span(*match.span()) if match else None
    return SYNTAX.at(file, "not valid TOML: a number or date is out of every range", span=span)
