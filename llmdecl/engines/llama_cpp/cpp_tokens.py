"""C++ source as tokens, as far as reading declarations needs it. Pure."""

import re
from bisect import bisect_left
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


def pairs(found: Sequence[Token]) -> dict[int, int]:
    """Where each bracket is closed, by index; one that is never closed is not in it."""
    ends: dict[int, int] = {}
    open_: list[int] = []
    for index, token in enumerate(found):
        if token.is_string or token.is_directive:
            continue
        if token.text in _PAIRS:
            open_.append(index)
        elif open_ and token.text == _PAIRS[found[open_[-1]].text]:
            ends[open_.pop()] = index
    return ends


def arguments(found: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """What stands between commas, brackets kept whole; raises ValueError where one stays open."""
    ends = pairs(found)
    index = first = 0
    while index < len(found):
        token = found[index]
        if not token.is_string and token.text in _PAIRS:
            if index not in ends:
                raise ValueError(f"the bracket in line {token.line} is not closed")
            index = ends[index]
        elif not token.is_string and token.text == ",":
            yield found[first:index]
            first = index + 1
        index += 1
    if first < len(found):
        yield found[first:]


class Code:
    """Tokens with where their brackets end and where `name` is called, worked out once."""

    def __init__(self, found: Sequence[Token], name: str) -> None:
        self.found = found
        self._ends = pairs(found)
        self._calls = [
            index
            for index in range(len(found) - 1)
            if found[index].text == name and found[index + 1].text == "("
        ]

    def closing(self, start: int) -> int:
        """Where the bracket at `start` is closed; raises ValueError when it never is."""
        if start not in self._ends:
            raise ValueError(f"the bracket in line {self.found[start].line} is not closed")
        return self._ends[start]

    def calls(self, start: int, end: int) -> bool:
        """Whether `name` is called from `start` to before `end`."""
        return bisect_left(self._calls, start) < bisect_left(self._calls, end)
