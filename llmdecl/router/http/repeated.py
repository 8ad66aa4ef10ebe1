"""Heads that come again on a connection: the same bytes, but for the length of the body.

What has been parsed and judged once needs no second look, so a repeated head costs two comparisons.
"""

import re

_LENGTH = re.compile(rb"\r\ncontent-length: ?([1-9]\d{0,8})\r\n", re.IGNORECASE)
_METHOD_OR_VERSION = re.compile(rb"[A-Z]")
_DIGITS = 9
_ZERO = ord("0")
_HEAD_BYTES = 4 << 10
"""Longer heads are parsed each time."""


class RepeatedHead:
    """A head with a Content-Length that has been found good, and any that differs in it only."""

    __slots__ = ("_back", "_back_bytes", "_front", "_front_bytes", "length")

    def __init__(self, front: bytes, back: bytes) -> None:
        self._front, self._front_bytes = front, len(front)
        self._back, self._back_bytes = back, len(back)
        self.length = 0
        """The body's, in the head that fitted last."""

    def fits(self, data: bytes) -> int:
        """Where the body begins if `data` begins with this head, and sets `length`; else 0."""
        start = self._front_bytes
        if not data.startswith(self._front):
            return 0
        end = data.find(b"\r", start, start + _DIGITS + 1)
        digits = data[start:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._back, end):
            return 0
        if digits[0] == _ZERO:
            return 0
        self.length = int(digits)
        return end + self._back_bytes


def remember(data: bytes, headers: int | None = None) -> RepeatedHead | None:
    """The head at the start of `data`, in which a parser has found so many headers.

    `None` unless that is beyond doubt: each line is one of the headers, and ends in CRLF. A model's
    answers are not counted through: nobody sends them to deceive us.
    """
    end = data.find(b"\r\n\r\n", 0, _HEAD_BYTES)
    if end < 0 or not _METHOD_OR_VERSION.match(data):
        return None
    found = _LENGTH.search(data, 0, end + 2)
    lines = data.count(b"\r\n", 0, end)
    if found is None or not lines == data.count(b"\r", 0, end) == data.count(b"\n", 0, end):
        return None
    if headers is not None and lines != headers:
        return None
    return RepeatedHead(data[: found.start(1)], data[found.end(1) : end + 4])
