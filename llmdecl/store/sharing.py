"""Who puts something into a store, and who clears it out: many of the first, or one of the second.

Whoever makes entries, or makes the lock that will name them, shares `locks/store.lock`; `gc` has
it alone. The kernel lets go of it when a process ends, however it ends.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.store.rules import STORE_BUSY, STORE_FULL, STORE_UNUSABLE

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def in_use(store: Path) -> Iterator[None]:
    """Nothing is cleared out while the block runs; waits for a `gc` that is at work.

    A store that can't be written holds what it holds: nobody clears it out either.
    """
    try:
        lock = _open(store)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise _unusable(store, error) from None
        yield
        return
    try:
        _lock(store, lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """Nobody puts anything in while the block runs; a Failure when somebody is at it."""
    try:
        lock = _open(store)
    except OSError as error:
        raise _unusable(store, error) from None
    try:
        _lock(store, lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _lock(store: Path, lock: int, operation: int) -> None:
    try:
        fcntl.flock(lock, operation)
    except BlockingIOError:
        summary = f"another process brings something into `{store}`, or clears it out"
        raise Failure(STORE_BUSY.at("store", summary)) from None
    except OSError as error:
        summary = f"`{store}` can't be locked: {error.strerror}"
        raise Failure(STORE_UNUSABLE.at("store", summary)) from None


def _unusable(store: Path, error: OSError) -> Failure:
    rule = STORE_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else STORE_UNUSABLE
    return Failure(rule.at("store", f"`{store}` can't be written: {error.strerror}"))


def _open(store: Path) -> int:
    (store / "locks").mkdir(parents=True, exist_ok=True)
    return os.open(store / "locks" / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
