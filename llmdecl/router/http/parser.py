"""Requests out of bytes, strictly.

llhttp (in `httptools`) refuses contradicting and repeated lengths, `Transfer-Encoding` beside
`Content-Length`, folded headers, bare line feeds and bad chunks. What it lets through and we do
not: codings other than plain `chunked`, any coding in HTTP/1.0, other versions, targets that are
no path, `CONNECT`, a missing, repeated or malformed `Host`, an upgrade to anything but `h2c`
(which Java's client always offers, and which is ignored, as RFC 9110 7.8 allows).
"""

from typing import Protocol

import httptools

from llmdecl.router.http.headers import (
    TOO_BIG,
    USUAL,
    check_old_version,
    check_size,
    check_target,
    read_headers,
)
from llmdecl.router.http.limits import (
    BODY_BYTES,
    FRAMING_BYTES,
    HEAD_BYTES,
    HEADER_COUNT,
)
from llmdecl.router.http.repeated import RepeatedHead, remember
from llmdecl.router.http.request import Body, Reject, Request


class Sink(Protocol):
    """Who gets the requests."""

    def on_head(self, request: Request) -> None:
        """The head is whole: may set `request.refusal`; may raise `Reject` to end it here."""

    def on_body_bytes(self, count: int) -> None:
        """So many bytes of body came; may raise `Reject`."""

    def on_request(self, request: Request) -> None:
        """The request is whole."""


class RequestParser:
    """The requests of one connection, in order. After `Reject` it must not be fed again."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_fed",
        "_feeding",
        "_headers",
        "_heads",
        "_known",
        "_missing",
        "_offered",
        "_parser",
        "_pattern",
        "_request",
        "_sink",
        "in_body",
        "in_head",
    )

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: Body = b""
        self._body_bytes = self._fed = self._feeding = 0
        self._offered = False
        self._heads = 0
        """Begun in the piece that is being parsed."""
        self._known: RepeatedHead | None = None
        self._pattern = self._request
        """What the known head says."""
        self._missing = 0
        """Of the body behind a repeated head."""
        self.in_head = False
        """Some of a head has come, but not all."""
        self.in_body = False
        """A head has come whose body has not."""

    def feed(self, data: bytes) -> None:
        """Raises `Reject`; requests that were whole before have gone to the sink."""
        if self._missing:
            self._continue(data)
            return
        between = not (self.in_head or self.in_body)
        if between and self._known is not None:
            start = self._known.fits(data)
            length = self._known.length
            if start and len(data) <= start + length and length <= BODY_BYTES:
                self._repeat(data, start, length)
                return
        self._parse(data)
        if between and self._heads == 1 and not self.in_head:
            self._remember(data)

    def _repeat(self, data: bytes, start: int, length: int) -> None:
        """The known head again. llhttp sees nothing of the request, and stays between two."""
        request = self._request = self._pattern.copy()
        request.length = length
        self._sink.on_head(request)
        have = len(data) - start
        if have == length:
            self._sink.on_body_bytes(length)
            request.body = data[start:]
            self._sink.on_request(request)
            return
        self._missing = length - have
        self.in_body = True
        if have:
            self.on_body(data[start:])

    def _continue(self, data: bytes) -> None:
        """The body behind a repeated head; what follows it is llhttp's."""
        part, rest = data[: self._missing], data[self._missing :]
        self._missing -= len(part)
        self.on_body(part)
        if not self._missing:
            self.on_message_complete()
        if rest:
            self._parse(rest)

    def _remember(self, data: bytes) -> None:
        """The head that has just been parsed may come again."""
        request = self._request
        usual = request.hop_by_hop in USUAL and not request.expects_continue
        if request.length > 0 and request.keep_alive and usual and request.refusal is None:
            self._known = remember(data, request.headers)
            self._pattern = request.copy()
            self._pattern.body = b""

    def _parse(self, data: bytes) -> None:
        begun = self._request
        self._heads = 0
        self._feeding = len(data)
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._decline()
                if data:
                    continue
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                raise (cause if isinstance(cause, Reject) else error) from None
            except httptools.HttpParserError as error:
                raise Reject(400, f"not a valid request: {error}", close=True) from None
            break
        if begun is self._request:
            self._bound(len(data))

    def _decline(self) -> None:
        """An offer to upgrade is not taken. llhttp has stopped behind the head, for a body in
        another protocol: a head with the same framing brings it back to HTTP/1.1."""
        length = self._request.length
        framing = b"Transfer-Encoding: chunked" if length < 0 else b"Content-Length: %d" % length
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)

    def _bound(self, fed: int) -> None:
        """What llhttp holds of an unfinished head, chunk extension or trailer is bounded."""
        self._fed += fed
        if self.in_head and self._fed > HEAD_BYTES:
            raise Reject(TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)
        if self.in_body and self._fed > HEAD_BYTES + FRAMING_BYTES + 16 * self._body_bytes:
            raise Reject(400, "chunk framing much larger than the body", close=True)

    # what llhttp calls

    def on_message_begin(self) -> None:
        """A head starts."""
        if self._offered:
            return
        self.in_head = True
        self._heads += 1
        self._request = Request()
        self._headers = []
        self._fed = 0

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        if not self._offered:
            self._request.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which is dropped."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        request, parser = self._request, self._parser
        if self._offered:
            self._offered = False
            return
        headers, self._headers = self._headers, []
        if len(headers) > HEADER_COUNT:
            raise Reject(TOO_BIG, f"more than {HEADER_COUNT} headers", close=True)
        if self._fed + self._feeding > HEAD_BYTES:
            check_size(request, headers)
        request.headers = len(headers)
        request.method = parser.get_method()
        request.forward = read_headers(request, headers)
        if request.length > BODY_BYTES:
            raise _too_large()
        if parser.get_http_version() != "1.1":
            check_old_version(request, parser.get_http_version())
        elif not request.host:
            raise Reject(400, "exactly one well-formed Host header is needed", close=True)
        check_target(request)
        request.keep_alive = not request.http10 and parser.should_keep_alive()
        if not request.keep_alive:
            self._known = None  # nothing may follow
        self._sink.on_head(request)
        self.in_head, self.in_body = False, True
        self._offered = parser.should_upgrade()

    def on_body(self, data: bytes) -> None:
        """Part of the body, out of its framing."""
        self._body_bytes += len(data)
        if self._body_bytes > BODY_BYTES:
            raise _too_large()
        self._sink.on_body_bytes(len(data))
        if not self._body:
            self._body = data
        elif isinstance(self._body, bytearray):
            self._body += data
        else:
            self._body = bytearray(self._body) + data

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._offered:
            return
        request = self._request
        if self._body_bytes:
            request.body, self._body, self._body_bytes = self._body, b"", 0
        self.in_body = False
        self._sink.on_request(request)


def _too_large() -> Reject:
    return Reject(413, f"a body may be {BODY_BYTES} bytes", close=True)
