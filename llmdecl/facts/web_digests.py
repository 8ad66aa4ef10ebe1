"""Digests of files on web servers that say none: a file that has not changed is not brought again.

Only a hint: what is fetched is compared with its SHA-256 all the same.
"""

from pathlib import Path

from llmdecl.facts.cache import Cache
from llmdecl.values import Value


class _Version(Value, kw_only=True, frozen=True):
    """One version of a file: what its server calls it."""

    url: str
    etag: str
    size_bytes: int


class _Digest(Value, kw_only=True, frozen=True):
    sha256: str


def known_digest(url: str, etag: str | None, size: int | None, cache: Path | None) -> str | None:
    """The SHA-256 of this version; a weak ETag or none tells no versions apart (RFC 9110)."""
    version = _version(url, etag, size)
    found = _cache(cache).get((version,), _Digest) if version else None
    return found.sha256 if found else None


def keep_digest(
    url: str, etag: str | None, size: int | None, sha256: str, cache: Path | None
) -> None:
    """For the next time; nothing happens for a version that can't be told from others."""
    if version := _version(url, etag, size):
        _cache(cache).put((version,), _Digest(sha256=sha256))


def _version(url: str, etag: str | None, size: int | None) -> _Version | None:
    if not etag or etag.startswith("W/") or size is None:
        return None
    return _Version(url=url, etag=etag, size_bytes=size)


def _cache(folder: Path | None) -> Cache:
    return Cache(folder, "web-digests")
