"""Whether upstream llama.cpp can use a file that Ollama wrote, and what to take instead."""

import re
from dataclasses import dataclass

from llmdecl.sources.ollama.formats import FORMATS, INSIDE, Format
from llmdecl.sources.ollama.marks import Marks, embedded_picture


@dataclass(frozen=True, slots=True)
class Incompatible:
    """A file that is of `format`, and what was seen."""

    format: Format
    seen: tuple[str, ...]


def incompatible(marks: Marks) -> Incompatible | None:
    """Why llama.cpp cannot use the file, or `None` as far as is known."""
    for row in FORMATS:
        if row.architecture != marks.architecture:
            continue
        seen = [words for sign in row.signs if (words := sign(marks)) is not None]
        if seen:
            return Incompatible(row, tuple(words for words in seen if words))
    words = embedded_picture(marks)
    if words and marks.architecture != "clip":
        row = Format(marks.architecture, marks.architecture, INSIDE, (embedded_picture,))
        return Incompatible(row, (words,))
    return None


_SIZE = re.compile(r"(?<![a-z0-9.])(e?)(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_NEAR = 1.35
"""A size in words is rounded: 4.3B is `4b`."""


def equivalents(row: Format, *words: str) -> tuple[str, ...]:
    """Repositories with the model: those of its size if `words` (tag, then size) tell it."""
    for word in words:
        for size in _sizes(word):
            near = [
                name
                for name in row.repositories
                if any(
                    size[0] == other[0] and 1 / _NEAR < size[1] / other[1] < _NEAR
                    for other in _sizes(name)[:1]
                )
            ]
            if near:
                return tuple(near)
    return row.repositories


def _sizes(text: str) -> list[tuple[str, float]]:
    """Counts of parameters in millions; `e` marks effective ones (Gemma's E2B)."""
    found = _SIZE.findall(text.lower())
    return [(e, float(n) * (1000 if unit == "b" else 1)) for e, n, unit in found if float(n)]
