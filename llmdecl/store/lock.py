"""`llmdecl.lock`: the lock as a file, sorted JSON that belongs into version control."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from llmdecl.diagnostics import Diagnostic, Span
from llmdecl.sources.reference import is_safe_member
from llmdecl.store.model import Lock, LockedPackage
from llmdecl.store.rules import LOCK_SCHEMA, LOCK_UNREADABLE
from llmdecl.store.store import sync, write_durably
from llmdecl.values import from_json, to_json

SCHEMA = 1
_CONFLICT = re.compile(rb"^(<<<<<<<|=======|>>>>>>>)", re.MULTILINE)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")


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
        lock = from_json(data, Lock)
    except (ValueError, RecursionError) as error:  # msgspec's and unicode's errors are ValueErrors
        summary = f"`{path.name}` is not a lock: {error}"
        return None, (LOCK_UNREADABLE.at(path.name, summary),)
    if wrong := next(_implausible(lock), None):
        summary = f"`{path.name}` is not a lock: {wrong}"
        return None, (LOCK_UNREADABLE.at(path.name, summary),)
    return lock, ()


def _implausible(lock: Lock) -> Iterator[str]:
    """What would lead out of the store: names there are made of digests and versions."""
    for source, weights in lock.weights.items():
        if not weights.files:
            yield f"`{source}` has no files"
        digests = [weights.digest, *(file.sha256 for file in weights.files)]
        yield from _no_digests(source, [*digests, *_of_package(weights.package)])
    for name, engine in lock.engines.items():
        digests = [engine.digest, *_of_package(engine.package)]
        digests += [engine.binary_sha256] if engine.binary_sha256 else []
        yield from _no_digests(f"engines.{name}", digests)
        package = engine.package
        if package and not (
            is_safe_member(engine.executable) and _PLAIN.fullmatch(package.version)
        ):
            yield f"engine `{name}` does not stay in its folder"
        if package and not _PLAIN.fullmatch(package.name):
            yield f"`{package.name}` is not the name of a package"
    yield from (f"`{n}` has port {p}" for n, p in lock.ports.items() if not 1 <= p <= 65535)


def _of_package(package: LockedPackage | None) -> list[str]:
    return [package.file.sha256] if package else []


def _no_digests(what: str, digests: Iterable[str]) -> Iterator[str]:
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            yield f"`{what}` has {digest!r} for a SHA-256"


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
