"""Heads of models' answers, as clients get them."""

import re
from typing import Self

_NOT_PASSED_ON = re.compile(
    rb"\r\n(?:connection|keep-alive|proxy-connection|proxy-authenticate|upgrade|te|trailer"
    rb"|access-control-[a-z-]*):[^\r\n]*",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"\r\ncontent-length: ?([1-9]\d{0,8})\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*", re.IGNORECASE)


class AnswerHead:
    """One head, without what is between the model and us only."""

    __slots__ = ("chunked", "event_stream", "length", "repeats", "status", "text", "until_close")

    def __init__(self, status: int, text: bytes) -> None:
        self.status = status
        self.text = text
        """With its empty line."""
        self.length = -1
        """The body's, as announced; -1 when it isn't, or is 0."""
        self.chunked = self.event_stream = False
        self.until_close = False
        """The body's end is the connection's."""
        self.repeats = False
        """Another answer may differ in its length only."""

    @classmethod
    def read(cls, status: int, head: bytes, *, reusable: bool) -> Self:
        """Of a whole head, with its empty line. `reusable`: the connection lives on."""
        answer = cls(status, _NOT_PASSED_ON.sub(b"", head))
        length = _LENGTH.search(head)
        if length is not None:
            answer.length = int(length[1])
        answer.chunked = _CHUNKED.search(head) is not None
        answer.event_stream = b"text/event-stream" in head
        answer.until_close = not reusable and until_close(head)
        answer.repeats = status == 200 and reusable and answer.length > 0 and not answer.chunked
        return answer

    def with_length(self, length: int) -> Self:
        """The same head over a body of another length; for one that `repeats`."""
        found = _LENGTH.search(self.text)
        assert found is not None
        text = b"%b%d%b" % (self.text[: found.start(1)], length, self.text[found.end(1) :])
        answer = type(self)(self.status, text)
        answer.length = length
        answer.event_stream = self.event_stream
        answer.repeats = True
        return answer

    def unchunked(self) -> bytes:
        """The text for a client that gets the body out of its chunks."""
        return _CHUNKED.sub(b"", self.text)


def until_close(head: bytes) -> bool:
    """The body's end is the connection's."""
    lower = head.lower()
    return b"\r\ncontent-length:" not in lower and b"\r\ntransfer-encoding:" not in lower
