"""What the headers of a request mean, and which of them a model gets to see."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import compress

from llmdecl.router.http.limits import HEAD_BYTES
from llmdecl.router.http.request import Reject, Request

_HOST = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]{2,45}(?:%25[A-Za-z0-9._~-]+)?\])(?::\d{0,5})?"
)
TOO_BIG = 431
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

USUAL: tuple[tuple[bytes, ...], ...] = ((), (b"keep-alive",), (b"close",))


def check_size(request: Request, headers: list[tuple[bytes, bytes]]) -> None:
    """Of the target and all headers; raises `Reject` (431)."""
    size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in headers)
    if size > HEAD_BYTES:
        raise Reject(TOO_BIG, f"more than {HEAD_BYTES} bytes of headers", close=True)


def read_headers(request: Request, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Fill `request` from its headers; the lines that go on to the model. Raises `Reject`."""
    forward: list[bytes] = []
    for header in headers:
        special = _SPECIAL.get(header[0].lower())
        if special is None:
            forward += (header[0], b": ", header[1], b"\r\n")
        else:
            special(request, header[1])
    if request.hop_by_hop in USUAL:
        return b"".join(forward)
    stays = [name.lower() not in request.hop_by_hop for name in forward[::4] for _ in range(4)]
    return b"".join(compress(forward, stays))


def check_old_version(request: Request, version: str) -> None:
    """Only 1.0 beside 1.1, and that without codings; raises `Reject`."""
    if version != "1.0":
        raise Reject(400, f"HTTP/{version} is not spoken here", close=True)
    request.http10 = True
    if request.length < 0:
        raise Reject(400, "HTTP/1.0 has no transfer codings", close=True)


def check_target(request: Request) -> None:
    """Only a path with a query, or `*` for OPTIONS: no proxy's forms, no fragment."""
    target = request.target
    if request.method == b"CONNECT":
        raise Reject(400, "this is no proxy", close=True)
    if target[0] != _SLASH and (target != b"*" or request.method != b"OPTIONS"):
        raise Reject(400, "the target must be a path", close=True)
    if b"#" in target:
        raise Reject(400, "a target has no fragment", close=True)
    request.path, _, request.query = target.partition(b"?")
