"""`llmdecl.lock`: the lock as a file, sorted JSON that belongs into version control."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from llmdecl.diagnostics import Diagnostic, Failure, Span
from llmdecl.store.durable import sync, write_durably
from llmdecl.store.model import SCHEMA, Lock
from llmdecl.store.plausible import implausible
from llmdecl.store.rules import LOCK_SCHEMA, LOCK_UNREADABLE, LOCK_UNWRITABLE, PIN_IMPLAUSIBLE
from llmdecl.values import from_json, to_json

_CONFLICT = re.compile(rb"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)


class _Head(msgspec.Struct):
    """What every schema has."""

    schema: int


class UnknownSchemaError(ValueError):
    """Written by another version of llmdecl."""


def _to_2(old: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 has more fields, all of which have defaults for what schema 1 could name."""
    return {**old, "schema": 2}


MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2}
"""From each former schema to the next."""


def parse_lock(data: bytes) -> Lock:
    """A lock of this or a former schema, as one of this schema.

    Raises `UnknownSchemaError`, or another ValueError that says what is wrong with it.
    """
    try:
        schema = from_json(data, _Head).schema
        if schema != SCHEMA and schema not in MIGRATIONS:
            raise UnknownSchemaError(f"has schema {schema}, this version reads schema {SCHEMA}")
        if schema == SCHEMA:
            lock = from_json(data, Lock)
        else:
            raw = from_json(data, dict[str, Any])
            for step in range(schema, SCHEMA):
                raw = MIGRATIONS[step](raw)
            lock = msgspec.convert(raw, Lock)
    except RecursionError as error:
        raise ValueError(str(error)) from None
    if wrong := next(implausible(lock), None):
        raise ValueError(wrong)
    return lock


def written_schema(path: Path) -> int | None:
    """The schema of the file at `path`, which a read lock no longer tells; `None` without one."""
    with suppress(OSError, ValueError, RecursionError):
        return from_json(path.read_bytes(), _Head).schema
    return None


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
        return parse_lock(data), ()
    except UnknownSchemaError as error:
        return None, (LOCK_SCHEMA.at(path.name, f"`{path.name}` {error}"),)
    except ValueError as error:  # msgspec's and unicode's errors are ValueErrors
        summary = f"`{path.name}` is not a lock: {error}"
        return None, (LOCK_UNREADABLE.at(path.name, summary),)


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the lock at `path` in one step; a file that holds it already is not touched.

    A Failure, and nothing written, when it holds what no lock may, such as a publisher's words, or
    when the folder or disk takes no file.
    """
    if wrong := next(implausible(lock), None):
        raise Failure(PIN_IMPLAUSIBLE.at(path.name, f"{wrong}; nothing was written"))
    data = to_json(lock)
    if path.is_file() and path.read_bytes() == data:
        return
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        write_durably(fresh, data)
        fresh.replace(target)
        sync(target.parent)
    except OSError as error:
        summary = f"`{path}` can't be written: {error.strerror}"
        raise Failure(LOCK_UNWRITABLE.at(path.name, summary)) from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
