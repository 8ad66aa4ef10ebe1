"""Provider `path`: a program that is already here, used where it lies and compared with its pin."""

import os
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.sources import file
from llmdecl.spec.schema import PathEngine
from llmdecl.store.model import LockedEngine
from llmdecl.store.providers.provider import (
    Diagnostics,
    Pinned,
    Provider,
    locked_engine,
    nothing_missing,
    probe,
)
from llmdecl.store.rules import FILE_ABSENT, FILE_CHANGED, FILE_MISSING
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.wanted import WantedEngine


def pin(room: Room, want: WantedEngine, kept: LockedEngine | None) -> Pinned:
    """The program at the path; one that is not here keeps its pin, with a warning."""
    assert isinstance(want.engine, PathEngine)
    path = file.locate(want.engine.path, room.base)
    address = f"{want.address}.path"
    if problem := unusable(path):
        if kept is None:
            raise Failure(FILE_MISSING.at(address, problem))
        return kept, (FILE_ABSENT.at(address, problem),)
    pinned = locked_engine(want, probe(room, path, address), want.engine.path, None, None)
    if kept is not None and kept.digest != pinned.digest:
        raise Failure(changed(address, want.engine.path, kept, pinned))
    return pinned, ()


def bring(room: Room, want: WantedEngine, locked: LockedEngine) -> Diagnostics:
    """Nothing is brought: what lies there has to be what is locked."""
    path = file.locate(locked.executable, room.base)
    address = f"{want.address}.path"
    if problem := unusable(path):
        raise Failure(FILE_MISSING.at(address, problem))
    now = locked_engine(want, probe(room, path, address), locked.executable, None, None)
    if now.digest != locked.digest:
        raise Failure(changed(address, locked.executable, locked, now))
    return ()


def unusable(path: Path) -> str | None:
    """Why `path` can't be run, or `None`."""
    if problem := file.unreadable(path):
        return problem
    return None if os.access(path, os.X_OK) else f"`{path}` may not be executed by this user"


def changed(address: str, path: str, before: LockedEngine, now: LockedEngine) -> Diagnostic:
    """The engine at a path is another than the locked one."""
    notes = [
        f"locked: {before.version}, commit {before.commit}, SHA-256 {before.binary_sha256}",
        f"now: {now.version}, commit {now.commit}, SHA-256 {now.binary_sha256}",
    ]
    return FILE_CHANGED.at(
        address, f"`{path}` is another engine than when it was locked", notes=notes
    )


PATH = Provider(pin=pin, bring=bring, missing=nothing_missing, is_local=True)
