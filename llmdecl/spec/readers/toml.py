"""TOML: values by the standard library, places by `readers.toml_places` when needed."""

import re
import tomllib

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.spec.address import address, quote_key
from llmdecl.spec.readers.text import Lines, Places, Tree, is_too_deep, too_deep
from llmdecl.spec.rules import DUPLICATE_KEY, SYNTAX

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_TWICE = ("Cannot overwrite a value", "Cannot declare", "Cannot mutate immutable namespace")
_LONG_NUMBER = re.compile(r"[0-9_]{1000,}")


def parse(text: str, file: str) -> tuple[Tree | None, tuple[Diagnostic, ...]]:
    """The tree, or what is wrong with the text."""
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
