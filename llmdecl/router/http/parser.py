"""Requests out of bytes, strictly.

llhttp (in `httptools`) refuses contradicting and repeated lengths, `Transfer-Encoding` beside
`Content-Length`, folded headers, bare line feeds and bad chunks. What it lets through and we do
not: codings other than plain `chunked`, any coding in HTTP/1.0, other versions, targets that are
no path, `CONNECT`, a missing, repeated or malformed `Host`, an upgrade to anything but `h2c`
(which Java's client always offers, and which is ignored, as RFC 9110 7.8 allows).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import compress
from typing import Protocol

import httptools

from llmdecl.router.http.limits import (
    BODY_BYTES,
    FRAMING_BYTES,
    HEAD_BYTES,
    HEADER_COUNT,
)
from llmdecl.router.http.request import Body, Reject, Request

_HOST = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]{2,45}(?:%25[A-Za-z0-9._~-]+)?\])(?::\d{0,5})?"
)
_TOO_BIG = 431
_SLASH = ord("/")


def _drop(_request: Request, _value: bytes) -> None:
    """Between two hops only, or not for a model's eyes."""


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _host(request: Request, value: bytes) -> None:
    value = value.strip()
    if request.host or not _is_host(value):
        raise Reject(400, "exactly one well-formed Host header is needed", close=True)
    request.host = value


def _length(request: Request, value: bytes) -> None:
    request.length = int(value)  # llhttp has checked the digits
    if request.length > BODY_BYTES:
        raise Reject(413, f"a body may be {BODY_BYTES} bytes", close=True)


def _coding(request: Request, value: bytes) -> None:
    if value.strip().lower() != b"chunked":
        raise Reject(400, "the only transfer coding is chunked", close=True)
    request.length = -1


def _connection(request: Request, value: bytes) -> None:
    request.hop_by_hop += tuple(token.strip() for token in value.lower().split(b","))


def _expect(request: Request, value: bytes) -> None:
    if value.strip().lower() != b"100-continue":
        raise Reject(417, "the only expectation is 100-continue", close=True)
    request.expects_continue = True


def _bearer(request: Request, value: bytes) -> None:
    request.authorization = value


def _key(request: Request, value: bytes) -> None:
    request.keys += (value.strip(),)


def _origin(request: Request, value: bytes) -> None:
    request.origin = value


def _upgrade(_request: Request, value: bytes) -> None:
    if value.strip().lower() != b"h2c":
        raise Reject(400, "no protocol to upgrade to", close=True)


def _preflight(request: Request, value: bytes) -> None:
    request.preflight = value


_SPECIAL: Mapping[bytes, Callable[[Request, bytes], None]] = {
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
"""Headers that stop here."""

_USUAL: tuple[tuple[bytes, ...], ...] = ((), (b"keep-alive",), (b"close",))


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
        "_offered",
        "_parser",
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
        self.in_head = False
        """Some of a head has come, but not all."""
        self.in_body = False
        """A head has come whose body has not."""

    def feed(self, data: bytes) -> None:
        """Raises `Reject`; requests that were whole before have gone to the sink."""
        begun = self._request
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
            raise Reject(_TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)
        if self.in_body and self._fed > HEAD_BYTES + FRAMING_BYTES + 16 * self._body_bytes:
            raise Reject(400, "chunk framing much larger than the body", close=True)

    # what llhttp calls

    def on_message_begin(self) -> None:
        """A head starts."""
        if self._offered:
            return
        self.in_head = True
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
            raise Reject(_TOO_BIG, f"more than {HEADER_COUNT} headers", close=True)
        if self._fed + self._feeding > HEAD_BYTES:
            _check_size(request, headers)
        request.method = parser.get_method()
        request.forward = _read_headers(request, headers)
        if parser.get_http_version() != "1.1":
            _check_old_version(request, parser.get_http_version())
        elif not request.host:
            raise Reject(400, "exactly one well-formed Host header is needed", close=True)
        _check_target(request)
        request.keep_alive = not request.http10 and parser.should_keep_alive()
        self._sink.on_head(request)
        self.in_head, self.in_body = False, True
        self._offered = parser.should_upgrade()

    def on_body(self, data: bytes) -> None:
        """Part of the body, out of its framing."""
        self._body_bytes += len(data)
        if self._body_bytes > BODY_BYTES:
            raise Reject(413, f"a body may be {BODY_BYTES} bytes", close=True)
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


def _check_size(request: Request, headers: list[tuple[bytes, bytes]]) -> None:
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > HEAD_BYTES:
        raise Reject(_TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)


def _read_headers(request: Request, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Fill `request` from its headers; the lines that go on to the model. Raises `Reject`."""
    forward: list[bytes] = []
    for header in headers:
        special = _SPECIAL.get(header[0].lower())
        if special is None:
            forward += (header[0], b": ", header[1], b"\r\n")
        else:
            special(request, header[1])
    if request.hop_by_hop in _USUAL:
        return b"".join(forward)
    stays = [name.lower() not in request.hop_by_hop for name in forward[::4] for _ in range(4)]
    return b"".join(compress(forward, stays))


def _check_old_version(request: Request, version: str) -> None:
    if version != "1.0":
        raise Reject(400, f"HTTP/{version} is not spoken here", close=True)
    request.http10 = True
    if request.length < 0:
        raise Reject(400, "HTTP/1.0 has no transfer codings", close=True)


def _check_target(request: Request) -> None:
    """Only a path with a query, or `*` for OPTIONS: no proxy's forms, no fragment."""
    target = request.target
    if request.method == b"CONNECT":
        raise Reject(400, "this is no proxy", close=True)
    if target[0] != _SLASH and (target != b"*" or request.method != b"OPTIONS"):
        raise Reject(400, "the target must be a path", close=True)
    if b"#" in target:
        raise Reject(400, "a target has no fragment", close=True)
    request.path, _, request.query = target.partition(b"?")
