"""`llmdecl.lock`: the lock as a file, sorted JSON that belongs into version control."""

import os
import re
from pathlib import Path

import msgspec

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.store.model import Lock
from llmdecl.store.rules import LOCK_SCHEMA, LOCK_UNREADABLE
from llmdecl.store.store import sync, write_durably
from llmdecl.values import from_json, to_json

SCHEMA = 1
_CONFLICT = re.compile(rb"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)


class _Head(msgspec.Struct):
    """What every schema has."""

    schema: int


def read_lock(path: Path) -> tuple[Lock | None, tuple[Diagnostic, ...]]:
    """The lock at `path`; `None` without a diagnostic when there is no such file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, ()
    except OSError as error:
        summary = f"`{path.name}` can't be read: {error.strerror}"
        return None, (LOCK_UNREADABLE.at(path.name, summary),)
    if conflict := _CONFLICT.search(data):
        line = data.count(b"\n", 0, conflict.start()) + 1
        span = Span(str(path), line, 1, line, 8)
        summary = f"`{path.name}` holds the marks of an unfinished merge"
        return None, (LOCK_UNREADABLE.at(path.name, summary, span=span),)
    try:
        schema = from_json(data, _Head).schema
        if schema != SCHEMA:
            summary = f"`{path.name}` has schema {schema}, this version reads schema {SCHEMA}"
            return None, (LOCK_SCHEMA.at(path.name, summary),)
        return from_json(data, Lock), ()
    except (ValueError, RecursionError) as error:  # msgspec's and unicode's errors are ValueErrors
        summary = f"`{path.name}` is not a lock: {error}"
        return None, (LOCK_UNREADABLE.at(path.name, summary),)


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the lock at `path` in one step; a file that holds it already is not touched."""
    data = to_json(lock)
    if path.is_file() and path.read_bytes() == data:
        return
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        write_durably(fresh, data)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    sync(target.parent)
