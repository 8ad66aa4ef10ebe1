"""Work places in the store's `partial/`, swept when those who worked there are dead.

Whoever works in `partial/NAME/` holds a lock on `partial/NAME.owner`, and so does the pip that
works for it. The kernel lets go of it when both are dead, whatever killed them.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        remove_tree(folder)
        mark.unlink(missing_ok=True)
        os.close(owner)


def dead(store: Path) -> tuple[Path, ...]:
    """Work places in which nobody works any more."""
    partial = store / "partial"
    if not partial.is_dir():
        return ()
    with _gate(store):
        return tuple(folder for folder, mark in _places(partial) if not _is_held(mark))


def sweep(store: Path) -> int:
    """Remove what dead processes left in `partial/`; the number of work places removed."""
    partial = store / "partial"
    if not partial.is_dir():
        return 0
    swept = 0
    with _gate(store):
        for folder, mark in _places(partial):
            if not _is_held(mark):
                remove_tree(folder)
                mark.unlink(missing_ok=True)
                swept += 1
    return swept


def remove_tree(folder: Path) -> None:
    """Remove a folder, also where folders in it are read-only; links are not followed.

    What can't be removed stays, without an error.
    """
    if folder.is_symlink():
        return
    for each, _, _ in os.walk(folder, followlinks=False):
        mode = Path(each).lstat().st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            with suppress(OSError):
                Path(each).chmod(mode | stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _places(partial: Path) -> list[tuple[Path, Path]]:
    """Every work place with the file that its owner holds; one of the two may be missing."""
    folders = {mark.with_suffix("") for mark in partial.glob("*.owner")}
    folders |= {each for each in partial.iterdir() if each.is_dir() and not each.is_symlink()}
    return [(folder, folder.with_name(f"{folder.name}.owner")) for folder in sorted(folders)]


def _is_held(mark: Path) -> bool:
    try:
        owner = os.open(mark, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(owner)
