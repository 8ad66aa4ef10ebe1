"""API keys of an endpoint, and origins of browsers."""

import hashlib
import secrets
from pathlib import Path
from urllib.parse import urlsplit

_SALT = secrets.token_bytes(32)
_LOCAL_SCHEMES = frozenset({"app", "file", "tauri", "vscode-webview", "vscode-file"})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  # compared, not bound


class Keys:
    """The keys that open an endpoint. Only salted digests are kept and compared, so the time a
    comparison takes says nothing about a key."""

    __slots__ = ("_digests",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._digests = frozenset(_digest(key) for key in keys)

    def admit(self, authorization: bytes, given: tuple[bytes, ...]) -> bool:
        """A bearer's key in `Authorization`, or one of those given otherwise, is one of ours."""
        scheme, _, key = authorization.partition(b" ")
        if scheme.lower() == b"bearer":
            given = (key.strip(), *given)
        return any(_digest(key) in self._digests for key in given)


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, key=_SALT, digest_size=32).digest()


def read_keys(file: str | None) -> Keys | None:
    """One key a line; empty lines and those from `#` on don't count. `None`: the endpoint is open.

    A file without a key opens to nobody. Raises OSError that names the file.
    """
    if file is None:
        return None
    lines = (line.strip() for line in Path(file).read_bytes().splitlines())
    return Keys(tuple(line for line in lines if line and not line.startswith(b"#")))


def origin_allowed(origin: str, host: str, *, trust_host: bool) -> bool:
    """Whether a page from `origin` may use this endpoint.

    Pages on this machine and local applications may. A page that this endpoint's own name serves
    (a reverse proxy in front) may when `trust_host`: an open loopback endpoint doesn't, because any
    name can be made to point at 127.0.0.1.
    """
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme in _LOCAL_SCHEMES:
        return True
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    return trust_host and bool(parts.netloc) and parts.netloc.lower() == host.lower()
