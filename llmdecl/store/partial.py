"""Work places in the store's `partial/`, swept when those who worked there are dead.

Whoever works in `partial/NAME/` holds a lock on `partial/NAME.owner`, and so does the pip that
works for it. The kernel lets go of it when both are dead, whatever killed them.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder of one's own, and the descriptor that marks it; hand that on to children."""

    folder: Path
    owner: int


def _gate(store: Path) -> FileLock:
    """Between making an owner file and locking it nobody sweeps."""
    (store / "locks").mkdir(parents=True, exist_ok=True)
    return FileLock(store / "locks" / "partial.lock")


@contextmanager
def workplace(store: Path) -> Iterator[Workplace]:
    """A new empty folder in the store's file system; gone at the end."""
    partial = store / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    with _gate(store):
        folder = Path(tempfile.mkdtemp(dir=partial))
        mark = folder.with_name(f"{folder.name}.owner")
        owner = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield Workplace(folder, owner)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        mark.unlink(missing_ok=True)
        os.close(owner)


def sweep(store: Path) -> int:
    """Remove what dead processes left in `partial/`; the number of work places removed."""
    partial = store / "partial"
    if not partial.is_dir():
        return 0
    swept = 0
    with _gate(store):
        for mark in sorted(partial.glob("*.owner")):
            swept += _sweep_one(mark)
        for folder in sorted(partial.iterdir()):
            if folder.is_dir() and not folder.with_name(f"{folder.name}.owner").exists():
                shutil.rmtree(folder, ignore_errors=True)
                swept += 1
    return swept


def _sweep_one(mark: Path) -> int:
    try:
        owner = os.open(mark, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # alive
    else:
        shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
        mark.unlink(missing_ok=True)
        return 1
    finally:
        os.close(owner)
