"""A file seen through a window: what the GGUF reader reads with.

Every length is checked against the file before anything is read, and nothing is allocated that
the file does not hold. The file is read, not mapped: a mapped file that someone truncates ends
the process with SIGBUS.
"""

import re
import struct
from collections.abc import Callable
from functools import cache
from typing import Protocol

WINDOW_BYTES = 1 << 18
"""Read at once of a local file."""
_RUN = 128
"""Strings that are passed over in one step."""
_LENGTH = struct.Struct("<Q")


class Hash(Protocol):
    """What `hashlib` gives."""

    def update(self, data: memoryview, /) -> None:
        """Take these bytes in."""

    def hexdigest(self) -> str:
        """The digest in hexadecimal."""


class CutShortError(Exception):
    """The file ends before the `needed` bytes at `offset` that a length in it claims."""

    def __init__(self, offset: int, needed: int, size: int) -> None:
        super().__init__(f"{needed} bytes are claimed at byte {offset} of {size}")
        self.offset = offset
        self.needed = needed
        self.size = size


class TooFarError(Exception):
    """More than `limit` bytes from the start are asked for, though the file has them."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes are asked for")
        self.limit = limit


class Window:
    """A position in a file of `size` bytes, whose bytes come from `read_at(offset, count)`.

    Nothing beyond `limit` is read, so that a large file can't make its header large. `at_once`
    bytes are asked for at least, where the file has them.
    """

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        size: int,
        limit: int,
        at_once: int = WINDOW_BYTES,
    ) -> None:
        self.size = size
        self.limit = limit
        self.at_once = at_once
        self.position = 0
        self._read_at = read_at
        self._data = b""
        self._start = 0

    def take(self, count: int) -> bytes:
        """The next bytes; raises as `claim` does. `count` is bounded by the caller."""
        begin = self._begin(count)
        self.position += count
        return self._data[begin : begin + count]

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        """The next numbers; raises as `claim` does."""
        begin = self._begin(layout.size)
        self.position += layout.size
        return layout.unpack_from(self._data, begin)

    def skip(self, count: int, digest: Hash | None = None) -> None:
        """Past `count` bytes, which are read only when a digest wants them."""
        self.claim(count)
        if digest is None:
            self.position += count
            return
        while count:
            begin = self._begin(min(count, self.at_once))
            step = min(count, len(self._data) - begin)
            digest.update(memoryview(self._data)[begin : begin + step])
            self.position += step
            count -= step

    def skip_strings(self, count: int, digest: Hash | None = None) -> None:
        """Past `count` strings, each a 64-bit length and its bytes."""
        while count:
            begin = self._begin(_LENGTH.size)
            end, passed = hop(self._data, begin, count)
            if passed == 0:
                length = _LENGTH.unpack_from(self._data, begin)[0]
                self.skip(_LENGTH.size + length, digest)
                count -= 1
                continue
            if digest is not None:
                digest.update(memoryview(self._data)[begin:end])
            self.position += end - begin
            count -= passed

    def claim(self, count: int) -> None:
        """Raises when the next `count` bytes are not to be had; reads nothing."""
        if count > self.size - self.position:
            raise CutShortError(self.position, count, self.size)
        if self.position + count > self.limit:
            raise TooFarError(self.limit)

    def _begin(self, count: int) -> int:
        """Where in the window the next `count` bytes begin, all of them there."""
        begin = self.position - self._start
        if begin + count <= len(self._data):
            return begin
        self.claim(count)
        self._start = self.position
        wanted = min(max(count, self.at_once), self.size - self.position)
        self._data = self._read_at(self.position, wanted)
        if len(self._data) < count:  # it shrank while we read
            raise CutShortError(self.position, count, self._start + len(self._data))
        return 0


def hop(data: bytes, position: int, count: int) -> tuple[int, int]:
    """Past the complete strings in `data`, at most `count`: the new position and how many.

    A loop over `struct` takes 25 ms for 262,144 tokens; a regular expression that knows the
    lengths below 64 passes a run of them in C, twice as fast. A run with a longer string in it
    is left to the loop.
    """
    read_length = _LENGTH.unpack_from
    last = len(data) - _LENGTH.size
    passed = 0
    while passed < count:
        left = count - passed
        if left >= _RUN and (match := _run_of_strings().match(data, position)):
            position = match.end()
            passed += _RUN
            continue
        for _ in range(min(_RUN, left)):
            if position > last:
                return position, passed
            end = position + _LENGTH.size + read_length(data, position)[0]
            if end > len(data):
                return position, passed
            position = end
            passed += 1
    return position, passed


@cache
def _run_of_strings() -> re.Pattern[bytes]:
    """Exactly `_RUN` strings shorter than 64 bytes, usual lengths first, without backtracking."""
    usual = (6, 5, 7, 4, 8, 3, 9, 10, 11, 12, 13, 14, 15, 16, 2, 1)
    lengths = (*usual, *(length for length in range(64) if length not in usual))
    strings = (
        re.escape(_LENGTH.pack(length)) + (b".{%d}+" % length if length else b"")
        for length in lengths
    )
    return re.compile(b"(?s:(?:" + b"|".join(strings) + b"){%d}+)" % _RUN)
