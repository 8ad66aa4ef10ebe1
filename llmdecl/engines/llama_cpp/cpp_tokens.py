"""C++ source as tokens, as far as reading declarations needs it. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<directive>(?<![^\n])[ \t]*\#(?:\\\n|[^\n])*)
    |(?P<raw>R"(?P<mark>[^()\s\\]{0,16})\((?P<inside>.*?)\)(?P=mark)")
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<char>'(?:[^'\\\n]|\\.)+')
    |(?P<word>[A-Za-z_]\w*|\.?\d[\w.]*)
    |(?P<other>::|->|==|!=|&&|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]+)|(?P<one>.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """`text` as written, for a string its value; `line` counts from 1."""

    text: str
    line: int
    is_string: bool = False
    is_directive: bool = False


def tokens(text: str, line: int = 1) -> list[Token]:
    """All tokens but comments."""
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None  # `.` takes anything
        if match["raw"] is not None:
            found.append(Token(match["inside"], line, is_string=True))
        elif match["string"] is not None:
            found.append(Token(unescaped(match["string"][1:-1]), line, is_string=True))
        elif match["space"] is None:
            directive = match["directive"] is not None
            found.append(Token(match[0].strip(), line, is_directive=directive))
        line += match[0].count("\n")
        position = match.end()
    return found


def unescaped(text: str) -> str:
    """The value of a string literal's inside."""

    def one(match: re.Match[str]) -> str:
        if match["octal"] is not None:
            return chr(int(match["octal"], 8))
        if match["hex"] is not None:
            return chr(int(match["hex"], 16) & 0xFF)
        return _ESCAPES.get(match["one"], match["one"])

    return _ESCAPE.sub(one, text)


def closing(found: Sequence[Token], start: int) -> int:
    """The index of what closes the bracket at `start`; raises ValueError when nothing does."""
    open_: list[str] = []
    for index in range(start, len(found)):
        token = found[index]
        if token.is_string or token.is_directive:
            continue
        if token.text in _PAIRS:
            open_.append(_PAIRS[token.text])
        elif open_ and token.text == open_[-1]:
            open_.pop()
            if not open_:
                return index
    raise ValueError(f"the bracket in line {found[start].line} is not closed")


def arguments(found: Sequence[Token], start: int, end: int) -> Iterator[Sequence[Token]]:
    """What stands between commas from `start` to before `end`, brackets kept whole."""
    index = first = start
    while index < end:
        token = found[index]
        if not token.is_string and token.text in _PAIRS:
            index = closing(found, index)
        elif not token.is_string and token.text == ",":
            yield found[first:index]
            first = index + 1
        index += 1
    if first < end:
        yield found[first:end]
