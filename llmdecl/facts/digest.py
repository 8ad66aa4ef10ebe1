"""SHA-256 of files, kept until a file changes."""

import hashlib
from pathlib import Path

from llmdecl.facts.cache import Cache, identity
from llmdecl.values import Value


class _Digest(Value, kw_only=True, frozen=True):
    sha256: str


def file_sha256(path: Path, cache: Path | None = None) -> str:
    """The file's SHA-256 in hexadecimal; raises OSError.

    With a `cache` folder a file that has not changed since is not read again.
    """
    key = (identity(path),)
    kept = Cache(cache, "sha256")
    if known := kept.get(key, _Digest):
        return known.sha256
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if key[0].settled and key == (identity(path),):
        kept.put(key, _Digest(sha256=digest))
    return digest
