"""GGUF files elsewhere: the header by a few range requests, never the weights.

A header of a large vocabulary is 8 MB; parts after the first have a table of tensors only. What a
file with a known SHA-256 says of itself is kept for good.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.cache import Cache
from llmdecl.facts.gguf import CACHE_SCHEMA, Read, header_in, read_parts
from llmdecl.facts.gguf_values import GgufHeader, KeyValue
from llmdecl.facts.gguf_window import Window
from llmdecl.facts.model import GgufFacts
from llmdecl.values import Value

MAX_REMOTE_HEADER_BYTES: Final = 64 << 20
"""Of one file; the largest vocabulary that anybody publishes takes less than half of it."""
FIRST_AT_ONCE: Final = 1 << 20
"""Asked for at once of the first part; smaller requests wait longer for the line than for bytes."""
OTHERS_AT_ONCE: Final = 1 << 15
"""Of further parts, 300 tensors and no keys, and between the arrays of a vocabulary."""


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


@dataclass(slots=True)
class First:
    """Where the values of a model's first header go, for `read_alike`, when it is read.

    With `needed` it is read even where its facts are known.
    """

    needed: bool = False
    kv: Mapping[str, KeyValue] | None = None


def read_gguf_remote(
    parts: Sequence[RemotePart], *, address: str, cache: Path | None, first: First | None = None
) -> Read:
    """The facts of the model that `parts` are, in order and with names as llama.cpp wants them.

    With a `cache` folder a second look at files with known digests reads nothing, unless the
    values of `first` are needed.
    """
    kept, key = Cache(cache, "gguf-remote", CACHE_SCHEMA), _key(parts)
    if not (first and first.needed) and key and (facts := kept.get(key, GgufFacts)):
        return facts, ()

    def header_of(name: str) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
        at_once = FIRST_AT_ONCE if name == parts[0].name else OTHERS_AT_ONCE
        header, found = header_in(_window(parts, name, at_once), name, address)
        if header is not None and first is not None and name == parts[0].name:
            first.kv = header.kv
        return header, found

    facts, found = _read(parts, header_of, address)
    if key and facts is not None and not found:
        kept.put(key, facts)
    return facts, found


def known_alike(parts: Sequence[RemotePart], cache: Path | None) -> GgufFacts | None:
    """What an earlier look at these files kept, whichever way it was read."""
    key = _key(parts)
    if not key:
        return None
    kinds = ("gguf-remote", "gguf-alike")
    found = (Cache(cache, kind, CACHE_SCHEMA).get(key, GgufFacts) for kind in kinds)
    return next((facts for facts in found if facts is not None), None)


def read_alike(
    parts: Sequence[RemotePart], first: First, *, address: str, cache: Path | None
) -> Read:
    """The same for another quantization of the model whose values `first` has.

    Its vocabulary is believed to be that one's, byte for byte, and jumped over. Where what follows
    then makes no sense, or has other keys, there are no facts.
    """
    kept, key = Cache(cache, "gguf-alike", CACHE_SCHEMA), _key(parts)

    if first.kv is None:
        return None, ()

    def header_of(name: str) -> tuple[GgufHeader | None, tuple[Diagnostic, ...]]:
        window = _window(parts, name, OTHERS_AT_ONCE)
        header, found = header_in(window, name, address, first.kv)
        if header is None or (name == parts[0].name and not _is_alike(header.kv, first.kv or {})):
            return None, ()
        return header, found

    facts, found = _read(parts, header_of, address)
    if key and facts is not None and not found:
        kept.put(key, facts)
    return facts, found


def keep_measured(parts: Sequence[tuple[str, int]], facts: GgufFacts, cache: Path | None) -> None:
    """What files (SHA-256 and size of each) say of themselves, now that they were here to be read:
    in the stead of what was read over the network."""
    key = [_Remote(sha256=sha256, size_bytes=size) for sha256, size in parts]
    Cache(cache, "gguf-remote", CACHE_SCHEMA).put(key, facts)


def _is_alike(one: Mapping[str, KeyValue], other: Mapping[str, KeyValue]) -> bool:
    """Whether the same keys are there, but for those that tell how a file was made."""
    return all(key.startswith(("general.", "quantize.", "split.")) for key in {*one} ^ {*other})


def _key(parts: Sequence[RemotePart]) -> list[_Remote]:
    """Empty when a digest is not known."""
    key = [_Remote(sha256=part.sha256, size_bytes=part.size_bytes) for part in parts if part.sha256]
    return key if len(key) == len(parts) else []


def _window(parts: Sequence[RemotePart], name: str, at_once: int) -> Window:
    part = next(part for part in parts if part.name == name)
    return Window(part.read_at, part.size_bytes, MAX_REMOTE_HEADER_BYTES, at_once)


def _read(
    parts: Sequence[RemotePart],
    header_of: Callable[[str], tuple[GgufHeader | None, tuple[Diagnostic, ...]]],
    address: str,
) -> Read:
    names = [part.name for part in parts]
    return read_parts(names[0], names, header_of, lambda _: False, address)
