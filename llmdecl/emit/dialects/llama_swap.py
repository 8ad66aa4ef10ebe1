r"""llama-swap's `cmd`, and the YAML around it (v250: internal/config/{load,macros,commands}.go).

Rules met here, in the order in which llama-swap applies them:
* `${env.NAME}` is replaced in the file's text, with `\` and `"` of the value escaped for a
  double-quoted YAML scalar. An unset variable fails the load.
* `${name}` in any value is a macro; an unknown one fails the load. There is no escape: in `cmd`
  quotes keep `$` and `{` apart, elsewhere such a text can't be carried.
* Lines of `cmd` that begin with `#` are dropped, and a `\` at a line's end is a space, even inside
  quotes: so a line break in a word stands between quotes of its own.
* Words are split by golib's `shlex.Posix`: nothing is special inside single quotes, there is no
  shell, and `$`, `~`, `*` mean nothing.
* NUL and half of a surrogate pair can't be carried at all.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from llmdecl.plan.model import Root, Word

ROOTS = {
    Root.STATE: "${env.LLMDECL_STATE}",
    Root.RUN: "${env.LLMDECL_RUN}",
    Root.STORE: "${env.LLMDECL_STORE}",
}
"""Folders, by the variables that llama-swap is started with."""

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_MACRO = re.compile(r"\$\{(env\.)?[a-zA-Z0-9_-]+\}")

_KEY = re.compile(r"[a-zA-Z][a-zA-Z_-]*")
_NO_STRINGS = frozenset(("y", "n", "yes", "no", "true", "false", "on", "off", "null"))
"""Words that are something else than strings in YAML 1.1."""

Yaml = str | int | float | bool | Mapping[str, "Yaml"] | Sequence["Yaml"] | tuple["Line", ...]


class Line(str):
    """A line of a scalar that is folded: line breaks between two of them are spaces."""

    __slots__ = ()


def refused_word(text: str) -> str | None:
    """What `text` holds that no quoting in `cmd` carries; `None`: nothing."""
    if "\0" in text:
        return "a NUL"
    return "half of a surrogate pair" if re.search("[\ud800-\udfff]", text) else None


def refused_value(text: str) -> str | None:
    """The same for a value outside of `cmd`."""
    return "what llama-swap takes for a macro" if _MACRO.search(text) else refused_word(text)


def quote_word(word: Word) -> str:
    """A plan's word as one token of `cmd`; raises ValueError for what is refused."""
    problem = refused_word(word.text)
    if problem is not None:
        raise ValueError(f"llama-swap can't carry {problem}")
    folder = f'"{ROOTS[word.root]}"' if word.root is not None else ""
    if _PLAIN.fullmatch(word.text):
        return folder + word.text
    text = word.text.replace("'", "'\"'\"'").replace("\n", "''\n''").replace("${", "$''{")
    return f"{folder}'{text}'"


def quote_scalar(text: str) -> str:
    """`text` as a double-quoted YAML scalar of one line."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if character.isprintable():
        return character
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def number(value: float) -> str:
    """A YAML 1.1 and 1.2 float: with a point, else `1e-05` is a string to some parsers."""
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    return text if "." in mantissa else f"{mantissa}.0{mark}{exponent}"


def document(head: Iterable[str], tree: Mapping[str, Yaml]) -> str:
    """A YAML document: comments, then block mappings and sequences; every string is quoted."""
    return "\n".join((*(f"# {line}" for line in head), *_mapping(tree, ""), ""))


def _mapping(tree: Mapping[str, Yaml], indent: str) -> Iterable[str]:
    for key, value in tree.items():
        plain = _KEY.fullmatch(key) and key.lower() not in _NO_STRINGS
        yield from _entry(f"{indent}{key if plain else quote_scalar(key)}:", value, indent)


def _entry(start: str, value: Yaml, indent: str) -> Iterable[str]:
    match value:
        case Mapping():
            yield start if value else f"{start} {{}}"
            yield from _mapping(value, indent + "  ")
        case str() | bool() | int() | float():
            yield f"{start} {_scalar(value)}"
        case _ if value and isinstance(value[0], Line):
            lines = [_escaped(str(line)) for line in value]
            yield f'{start} "{lines[0]}' + ('"' if len(lines) == 1 else "")
            for place, line in enumerate(lines[1:], 2):
                yield f"{indent}  {line}" + ('"' if place == len(lines) else "")
        case _:
            yield start if value else f"{start} []"
            for each in value:
                yield from _entry(f"{indent}  -", each, indent + "  ")


def _scalar(value: str | float | bool) -> str:  # noqa: FBT001
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number(value)
        case str():
            return quote_scalar(value)
