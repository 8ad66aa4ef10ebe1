"""One change at a time: the apply lock."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmdecl.activate.atomic import replace_file
from llmdecl.activate.rules import APPLY_IN_PROGRESS, STATE_UNWRITABLE
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.values import Value, from_json, to_json


class Holder(Value, frozen=True, kw_only=True):
    """Who has the lock."""

    verb: str
    pid: int


@contextmanager
def exclusive(state: Path, verb: str) -> Iterator[None]:
    """The state folder is there and ours alone while the block runs; a Failure when it is not.

    The kernel frees the lock when this process ends, however it ends.
    """
    from filelock import FileLock, Timeout

    holder = state / "apply.holder"
    lock = FileLock(state / "apply.lock", timeout=0)
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
        replace_file(holder, to_json(Holder(verb=verb, pid=os.getpid())))
    except Timeout:
        raise Failure(_taken(holder)) from None
    except OSError as error:
        lock.release()
        summary = f"state folder `{state}` can't be written: {error.strerror or error}"
        raise Failure(STATE_UNWRITABLE.at("state", summary)) from error
    try:
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _taken(path: Path) -> Diagnostic:
    try:
        holder = from_json(path.read_bytes(), Holder)
    except (OSError, ValueError):
        return APPLY_IN_PROGRESS.at("state", "another process is changing this stack")
    return APPLY_IN_PROGRESS.at(
        "state", f"`llmdecl {holder.verb}` (PID {holder.pid}) is changing this stack"
    )
