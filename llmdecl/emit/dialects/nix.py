r"""The Nix language: strings, names of attributes and the values that are made of them.
Manual: https://nix.dev/manual/nix/2.28/language/string-literals.

Rules met here:
* In `"..."` a backslash, a double quote and `${` need a backslash; so does a lone `$`, so that
  nothing depends on what follows it.
* A carriage return in a literal becomes a newline, so it is written `\r`.
* A name is written bare only when it is an identifier and no keyword.
* NUL and halves of surrogate pairs can't be carried at all.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmdecl.emit.dialects.supervisord import refused as refused_in_text

_ESCAPES = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'[\\"$\n\r\t]')
_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_'-]*")
_KEYWORDS = frozenset(("assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"))


@dataclass(frozen=True, slots=True)
class Expression:
    """Text that is Nix already."""

    text: str


Value = Expression | str | bool | int | None | Sequence["Value"] | Mapping[str, "Value"]


def refused(text: str) -> str | None:
    """What `text` holds that no string of Nix carries; `None`: nothing."""
    if "\0" in text:
        return "a NUL"
    return refused_in_text(text.replace("\r", ""))


def string(text: str) -> str:
    """`text` as a literal; raises ValueError for what is refused."""
    problem = refused(text)
    if problem is not None:
        raise ValueError(f"Nix can't carry {problem}")
    return f'"{_ESCAPED.sub(lambda match: _ESCAPES[match[0]], text)}"'


def attribute(name: str) -> str:
    """A name in `{ name = ...; }` or after a dot."""
    if _IDENTIFIER.fullmatch(name) and name not in _KEYWORDS:
        return name
    return string(name)


def comment(text: str) -> str:
    """Text of one line, whatever is in it."""
    return f"# {' '.join(text.split())}"


def render(value: Value, indent: str = "") -> str:
    """A value as nixfmt would write it, but for short attribute sets; continued at `indent`."""
    inner = indent + "  "
    match value:
        case Expression(text):
            return text
        case str():
            return string(value)
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case int():
            return str(value)
        case Mapping():
            if not value:
                return "{ }"
            lines = [f"{inner}{attribute(k)} = {render(v, inner)};\n" for k, v in value.items()]
            return f"{{\n{''.join(lines)}{indent}}}"
        case _:
            if not value:
                return "[ ]"
            lines = [f"{inner}{_element(each, inner)}\n" for each in value]
            return f"[\n{''.join(lines)}{indent}]"


def _element(value: Value, indent: str) -> str:
    text = render(value, indent)
    if isinstance(value, Expression) or (
        isinstance(value, int) and value is not True and value < 0
    ):
        return f"({text})"
    return text


def sri(sha256: str) -> str:
    """A SHA-256 in hexadecimal as `hash` attributes have it."""
    return f"sha256-{base64.b64encode(bytes.fromhex(sha256)).decode()}"


def store_name(text: str) -> str:
    """`text` with what the name of a store path may hold; never empty."""
    return re.sub(r"[^A-Za-z0-9+._?=-]", "-", text).lstrip(".")[:200] or "file"
