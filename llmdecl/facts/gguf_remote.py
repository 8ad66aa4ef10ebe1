"""GGUF files elsewhere: the header by a few range requests, never the weights.

A header of a large vocabulary is 8 MB; parts after the first have a table of tensors only. What a
file with a known SHA-256 says of itself is kept for good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.cache import Cache
from llmdecl.facts.gguf import CACHE_SCHEMA, Read, header_in, read_parts
from llmdecl.facts.gguf_values import GgufHeader
from llmdecl.facts.gguf_window import Window
from llmdecl.facts.model import GgufFacts
from llmdecl.values import Value

MAX_REMOTE_HEADER_BYTES: Final = 64 << 20
"""Of one file; the largest vocabulary that anybody publishes takes less than half of it."""
FIRST_AT_ONCE: Final = 1 << 20
"""Asked for at once of the first part; smaller requests wait longer for the line than for bytes."""
OTHERS_AT_ONCE: Final = 1 << 16
"""Of further parts: 300 tensors and no keys."""


class _Remote(Value, kw_only=True, frozen=True):
    """What a part is known by."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RemotePart:
    """A file whose bytes come from `read_at(offset, count)`; that raises Failure when it can't.

    `read_at` gives `count` bytes unless the file ends before.
    """

    name: str
    sha256: str | None
    size_bytes: int
    read_at: Callable[[int, int], bytes]


def read_gguf_remote(parts: Sequence[RemotePart], *, address: str, cache: Path | None) -> Read:
    """The facts of the model that `parts` are, in order and with names as llama.cpp wants them.

    With a `cache` folder a second look at files with known digests reads nothing.
    """
    kept = Cache(cache, "gguf-remote", CACHE_SCHEMA)
    key = [_Remote(sha256=part.sha256, size_bytes=part.size_bytes) for part in parts if part.sha256]
    known = len(key) == len(parts)
    if known and (facts := kept.get(key, GgufFacts)):
        return facts, ()
    by_name = {part.name: part for part in parts}
    names = [part.name for part in parts]

    def header_of(name: str) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
        part = by_name[name]
        at_once = FIRST_AT_ONCE if name == names[0] else OTHERS_AT_ONCE
        window = Window(part.read_at, part.size_bytes, MAX_REMOTE_HEADER_BYTES, at_once)
        return header_in(window, name, address)

    facts, found = read_parts(names[0], names, header_of, lambda _: False, address)
    if known and facts is not None and not found:
        kept.put(key, facts)
    return facts, found
