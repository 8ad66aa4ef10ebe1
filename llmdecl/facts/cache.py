"""What was worked out from a file, kept until the file changes.

Entries are JSON below the cache folder, named by a digest of the files' identities (path, size,
times and inode). A broken entry, or one of another schema, counts as absent; a folder that can't
be written means that nothing is kept.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from llmdecl.values import Value, from_json, to_json

T = TypeVar("T")

SCHEMA: Final = 1
_SETTLED_NS: Final = 2_000_000_000
"""A file that changed less than this ago could change again within one tick of its clock."""


class Identity(Value, kw_only=True, frozen=True):
    """A file as `stat` sees it. Equal identities mean that nobody wrote to it in between."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @property
    def settled(self) -> bool:
        """Whether its last change is long enough ago for its times to tell a later one."""
        return time.time_ns() - max(self.mtime_ns, self.ctime_ns) > _SETTLED_NS


def identity(path: Path, stat: os.stat_result | None = None) -> Identity:
    """The file that `path` leads to; raises OSError."""
    stat = stat or path.stat()
    return Identity(
        path=str(path.absolute()),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        ctime_ns=stat.st_ctime_ns,
        inode=stat.st_ino,
        device=stat.st_dev,
    )


class Cache:
    """Entries of one kind (`gguf`, `sha256`, ...) below `folder`; with no folder it is empty."""

    def __init__(self, folder: Path | None, kind: str, schema: int = SCHEMA) -> None:
        self._folder = folder / "facts" / kind if folder is not None else None
        self._schema = schema

    def get(self, key: Iterable[Value], kind: type[T]) -> T | None:
        """What was kept for these identities."""
        if self._folder is None:
            return None
        key = tuple(key)
        try:
            entry = from_json(self._path(key).read_bytes(), _Entry)
            if entry.schema != self._schema or entry.key != to_json(key).decode():
                return None
            return from_json(bytes(entry.value), kind)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def put(self, key: Iterable[Value], value: object) -> None:
        """Keep `value`, atomically; nothing happens when the folder can't be written."""
        if self._folder is None:
            return
        key = tuple(key)
        entry = _Entry(
            schema=self._schema, key=to_json(key).decode(), value=msgspec.Raw(to_json(value))
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(entry))
            Path(name).replace(self._path(key))
        except OSError:
            Path(name).unlink(missing_ok=True)

    def _path(self, key: tuple[Value, ...]) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(to_json(key)).hexdigest()[:32]}.json"


class _Entry(Value, kw_only=True, frozen=True):
    schema: int
    key: str
    value: msgspec.Raw


def outdated(folder: Path) -> tuple[Path, ...]:
    """Entries below the cache `folder` that nobody can use again: of files gone or changed."""
    return tuple(path for path in sorted((folder / "facts").glob("*/*.json")) if _is_outdated(path))


def _is_outdated(path: Path) -> bool:
    try:
        entry = from_json(path.read_bytes(), _Entry)
    except (OSError, ValueError):
        return True
    try:
        key = from_json(entry.key, tuple[Identity, ...])
    except ValueError:
        return False  # of something else than files
    try:
        return any(identity(Path(each.path)) != each for each in key)
    except OSError:
        return True
