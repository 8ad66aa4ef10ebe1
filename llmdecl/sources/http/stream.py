"""One answer whose body is still on its way."""

import contextlib
import re
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import HTTPError

from llmdecl.sources.http.problems import Trouble, of_exception
from llmdecl.sources.http.rules import WEB_BAD_ANSWER, WEB_UNREACHABLE
from llmdecl.sources.http.values import shown
from llmdecl.sources.pip import Stopped

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from llmdecl.sources.http.web import Web


_WORTH_READING = 1 << 14
"""Bytes of a body (a redirect's, an error's) that are read to keep the connection."""


_RECORD = 1 << 14
"""Of TLS, at most."""
_SOON_S = 0.01
"""What comes within this time may be lost when the connection breaks."""
_AT_ONCE = 1 << 18


class Stream:
    """Status and headers (names in lower case), and a body that `read` brings piece by piece.

    `length` is what the body must have, by Content-Length; `whole` says whether its end can be
    told from a broken connection. `start` and `total_bytes` come from Content-Range.
    """

    def __init__(
        self,
        web: "Web",
        response: "BaseHTTPResponse",
        url: str,
        first: Mapping[str, str] | None,
        *,
        sent_token: bool,
    ) -> None:
        self._web, self._response, self.url, self.sent_token = web, response, url, sent_token
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.first_headers: Mapping[str, str] = first or {}
        self.received = 0
        self._broken = False
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.length = None if chunked else _number(self.headers.get("content-length"))
        self.whole = chunked or self.length is not None
        self.start, self.total_bytes = _content_range(self.headers.get("content-range"))
        if self.status == 200:
            self.start, self.total_bytes = 0, self.length
        encoding = self.headers.get("content-encoding", "identity").lower()
        if encoding not in ("identity", "") and 200 <= self.status < 300:
            response.close()
            raise Trouble(WEB_BAD_ANSWER, f"`{shown(self.url)}` is encoded (`{encoding[:20]}`)")
        below = getattr(response, "_original_response", None)
        plain = isinstance(below, HTTPResponse) and self.length is not None and not below.chunked
        self._below: Any = below if plain else None
        self._clock = web.patience.clock
        self._begun = self._slow_since = self._clock()
        self._slow_bytes = 0

    def error(self) -> bytes:
        """The body of an answer without success, if it is small and JSON; it may break unheard."""
        if self.length is None or not 0 < self.length <= _WORTH_READING:
            return b""
        if "json" not in self.headers.get("content-type", ""):
            return b""
        body = bytearray()
        with contextlib.suppress(Trouble):
            while chunk := self.read(self.length):
                body += chunk
        return bytes(body)

    def read(self, most: int) -> bytes:
        """Up to `most` bytes as soon as there are some, nothing at the end; Trouble when it broke.

        A body that ends early is broken, and so is one that hardly moves.
        """
        buffer = memoryview(bytearray(most))
        return bytes(buffer[: self.read_into(buffer)])

    def read_into(self, buffer: memoryview) -> int:
        """`read` into a buffer; how many bytes, 0 at the end."""
        try:
            count = self._receive(buffer)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            self._broken = True
            self._web.check_stopped()
            raise of_exception(error, self.url) from None
        if not count and self.length is not None and self.received < self.length:
            self._broken = True
            self._web.check_stopped()
            summary = f"`{shown(self.url)}` ended after {self.received} of {self.length} bytes"
            raise Trouble(WEB_UNREACHABLE, summary, passing=True)
        self.received += count
        self._web.count(count)
        self._web.check_stopped()
        self._check_pace(count)
        return count

    def _receive(self, buffer: memoryview) -> int:
        """Past urllib3, whose own reading copies, where the body is plain and its length known."""
        below = self._below
        if below is None:
            data = self._response.read1(len(buffer), decode_content=False)
            buffer[: len(data)] = data
            return len(data)
        if below.fp is None or not below.length:
            return 0
        most = min(len(buffer), below.length)
        elapsed = self._clock() - self._begun
        soon = int(self.received / elapsed * _SOON_S) if elapsed > 0 else 0
        count: int
        if soon < 2 * _RECORD:
            count = below.fp.readinto1(buffer[:most])
        else:  # waits for as much as comes in no time: TLS gives a record at a time
            count = below.fp.readinto(buffer[: min(most, soon, _AT_ONCE)])
        below.length -= count
        if not below.length or not count:
            below.close()
        return count

    def _check_pace(self, amount: int) -> None:
        self._slow_bytes += amount
        patience = self._web.patience
        if self._slow_bytes >= patience.slow_bytes_per_s * patience.slow_s:
            self._slow_since, self._slow_bytes = self._clock(), 0
        elif self._clock() - self._slow_since >= patience.slow_s:
            self._broken = True
            summary = f"`{shown(self.url)}` hardly moves: {self._slow_bytes} bytes in a minute"
            raise Trouble(WEB_UNREACHABLE, summary, passing=True)

    def end(self) -> None:
        """From another thread: have a `read` that waits come back, with Trouble."""
        self._broken = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()

    def close(self) -> None:
        """Keep the connection for the next request when little is left of the body, else drop it.

        Dropping is cheaper than reading on, and so is one stalled connection than none.
        """
        left = None if self.length is None else self.length - self.received
        if self._broken or left is None or left > _WORTH_READING or self._web.stopped.is_set():
            self._response.close()
        elif left:
            self._drain()
        elif self._below is not None:
            self._below.close()  # it was not asked for its last, empty piece
        self._response.release_conn()

    def _drain(self) -> None:
        try:
            while self.read_into(memoryview(bytearray(_WORTH_READING))):
                pass
        except (Trouble, Stopped):
            self._response.close()


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,18}", text.strip()) else None


def _content_range(text: str | None) -> tuple[int | None, int | None]:
    """First byte and size of the whole, by RFC 9110; a part of neither is `None`."""
    match = re.fullmatch(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(\d{1,18}|\*)", (text or "").strip())
    if match is None:
        return None, None
    return _number(match[1]), _number(match[2])
