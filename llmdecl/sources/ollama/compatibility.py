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


_SIZE = re.compile(r"(?<![a-z0-9.])([ea]?\d+(?:\.\d+)?[bm])(?![a-z0-9])")


def equivalents(row: Format, *words: str) -> tuple[str, ...]:
    """Repositories with the model, those of its size first if `words` (tag, size) tell it."""
    wanted = {size for word in words for size in _SIZE.findall(word.lower())}
    sized = [name for name in row.repositories if wanted & set(_SIZE.findall(name.lower()))]
    return tuple(sized) or row.repositories
