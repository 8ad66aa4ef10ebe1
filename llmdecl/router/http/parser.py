"""Requests out of bytes, strictly.

llhttp (in `httptools`) refuses contradicting and repeated lengths, `Transfer-Encoding` beside
`Content-Length`, folded headers, bare line feeds and bad chunks. What it lets through and we do
not: codings other than plain `chunked`, any coding in HTTP/1.0, other versions, targets that are
no path, `CONNECT`, a missing, repeated or malformed `Host`, an upgrade to anything but `h2c`
(which Java's client always offers, and which is ignored, as RFC 9110 7.8 allows).
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import httptools

from llmdecl.router.http.limits import (
    BODY_BYTES,
    FRAMING_BYTES,
    HEAD_BYTES,
    HEADER_COUNT,
)
from llmdecl.router.http.request import Reject, Request

_HOST = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]{2,45}(?:%25[A-Za-z0-9._~-]+)?\])(?::\d{0,5})?"
)
_TOO_BIG = 431


def _drop(_request: Request, _value: bytes) -> None:
    """Between two hops only, or not for a model's eyes."""


def _host(request: Request, value: bytes) -> None:
    if request.host or not _HOST.fullmatch(value):
        raise Reject(400, "exactly one well-formed Host header is needed", close=True)
    request.host = value


def _length(request: Request, value: bytes) -> None:
    request.length = int(value)  # llhttp has checked the digits
    if request.length > BODY_BYTES:
        raise Reject(413, f"a body may be {BODY_BYTES} bytes", close=True)


def _coding(request: Request, value: bytes) -> None:
    if value.strip().lower() != b"chunked" or request.http10:
        raise Reject(400, "the only transfer coding is chunked", close=True)
    request.length = -1


def _connection(request: Request, value: bytes) -> None:
    request.hop_by_hop.extend(token.strip() for token in value.lower().split(b","))


def _expect(request: Request, value: bytes) -> None:
    if value.strip().lower() != b"100-continue":
        raise Reject(417, "the only expectation is 100-continue", close=True)
    request.expects_continue = not request.http10


def _bearer(request: Request, value: bytes) -> None:
    scheme, _, key = value.partition(b" ")
    if scheme.lower() == b"bearer":
        request.keys.append(key.strip())


def _key(request: Request, value: bytes) -> None:
    request.keys.append(value)


def _origin(request: Request, value: bytes) -> None:
    request.origin = value


def _upgrade(_request: Request, value: bytes) -> None:
    if value.strip().lower() != b"h2c":
        raise Reject(400, "no protocol to upgrade to", close=True)


def _preflight(request: Request, value: bytes) -> None:
    request.preflight = value


_SPECIAL: Mapping[bytes, Callable[[Request, bytes], None]] = MappingProxyType(
    {
        b"access-control-request-headers": _preflight,
        b"access-control-request-method": _drop,
        b"api-key": _key,
        b"authorization": _bearer,
        b"connection": _connection,
        b"content-length": _length,
        b"cookie": _drop,
        b"expect": _expect,
        b"host": _host,
        b"http2-settings": _drop,
        b"keep-alive": _drop,
        b"origin": _origin,
        b"proxy-authenticate": _drop,
        b"proxy-authorization": _drop,
        b"proxy-connection": _drop,
        b"te": _drop,
        b"trailer": _drop,
        b"transfer-encoding": _coding,
        b"upgrade": _upgrade,
        b"x-api-key": _key,
    }
)
"""Headers that stop here."""

_USUAL: tuple[list[bytes], ...] = ([], [b"keep-alive"], [b"close"])


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
        "_headers",
        "_parser",
        "_request",
        "_sink",
        "_url",
    )

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._request: Request | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._fed = 0

    @property
    def in_head(self) -> bool:
        """Some of a head has come, but not all."""
        return self._fed > 0 and self._request is None

    @property
    def in_body(self) -> bool:
        """A head has come whose body has not."""
        return self._request is not None

    def feed(self, data: bytes) -> None:
        """Raises `Reject`; requests that were whole before have gone to the sink."""
        self._fed += len(data)
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]  # the offer was not taken: HTTP/1.1 goes on
                if data:
                    self._fed = len(data)
                    continue
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                raise (cause if isinstance(cause, Reject) else error) from None
            except httptools.HttpParserError as error:
                raise Reject(400, f"not a valid HTTP/1.1 request: {error}", close=True) from None
            break
        if self._request is None:
            if self._fed > HEAD_BYTES:
                raise Reject(_TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)
        elif self._fed > HEAD_BYTES + FRAMING_BYTES + 16 * self._body_bytes:
            raise Reject(400, "chunk framing much larger than the body", close=True)

    # what llhttp calls

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; a trailer is dropped."""
        if self._request is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if len(self._headers) > HEADER_COUNT:
            raise Reject(_TOO_BIG, f"more than {HEADER_COUNT} headers", close=True)
        size = len(self._url) + sum(len(n) + len(v) + 4 for n, v in self._headers)
        if size > HEAD_BYTES:
            raise Reject(_TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)
        request = self._head()
        self._sink.on_head(request)
        self._request = request

    def on_body(self, data: bytes) -> None:
        """Part of the body, out of its framing."""
        self._body_bytes += len(data)
        if self._body_bytes > BODY_BYTES:
            raise Reject(413, f"a body may be {BODY_BYTES} bytes", close=True)
        self._sink.on_body_bytes(len(data))
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        request, body = self._request, self._body
        assert request is not None
        request.body = body[0] if len(body) == 1 else b"".join(body)
        self._request, self._body, self._headers = None, [], []
        self._url, self._body_bytes, self._fed = b"", 0, 0
        self._sink.on_request(request)

    def _head(self) -> Request:
        parser, url = self._parser, self._url
        version = parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise Reject(400, f"HTTP/{version} is not spoken here", close=True)
        request = Request(
            method=parser.get_method(),
            target=url,
            keep_alive=parser.should_keep_alive() and version == "1.1",
            http10=version == "1.0",
        )
        if request.method == b"CONNECT":
            raise Reject(400, "this is no proxy", close=True)
        if not (url.startswith(b"/") or (url == b"*" and request.method == b"OPTIONS")):
            raise Reject(400, "the target must be a path", close=True)
        if b"#" in url:
            raise Reject(400, "a target has no fragment", close=True)
        request.path, _, request.query = url.partition(b"?")
        _read_headers(request, self._headers)
        return request


def _read_headers(request: Request, headers: list[tuple[bytes, bytes]]) -> None:
    """Fill `request` from its headers; raises `Reject`."""
    keep = []
    for header in headers:
        special = _SPECIAL.get(header[0].lower())
        if special is None:
            keep.append(header)
        else:
            special(request, header[1])
    if not request.host and not request.http10:
        raise Reject(400, "exactly one well-formed Host header is needed", close=True)
    if request.hop_by_hop not in _USUAL:
        named = set(request.hop_by_hop)
        keep = [header for header in keep if header[0].lower() not in named]
    request.forward = b"".join([b"%b: %b\r\n" % header for header in keep])
