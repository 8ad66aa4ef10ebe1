"""Processes of this stack: found by their mark, waited for by pidfd, ended when nobody owns them.

Every process of a stack has `LLMDECL_STACK=<id>` in its environment. A zombie counts as gone.
"""

import os
import select
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.activate.rules import PROCESS_STAYS
from llmdecl.diagnostics import Failure

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A live process. `started` (clock ticks since boot) tells it from a later one of that PID."""

    pid: int
    parent: int
    started: int


def look(pid: int) -> Process | None:
    """The process, or `None` when there is none or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    if fields[0] in {"Z", "X"}:
        return None
    return Process(pid, int(fields[1]), int(fields[19]))


def environment(pid: int) -> Mapping[str, str]:
    """A process's environment as it was started; empty when it can't be read."""
    try:
        data = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs}


def resident_bytes(pid: int) -> int | None:
    """Its share of what is in memory, by proc(5) `smaps_rollup`; `None` when it can't be read."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(found[0]) * 1024 if found else None


def marked(stack: str) -> tuple[Process, ...]:
    """Live processes of this user with this stack's mark."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            if entry.stat().st_uid != os.getuid():
                continue
        except OSError:
            continue
        pid = int(entry.name)
        process = look(pid)
        if process is not None and environment(pid).get("LLMDECL_STACK") == stack:
            found.append(process)
    return tuple(sorted(found, key=lambda process: process.pid))


def orphans(stack: str, manager: int | None) -> tuple[Process, ...]:
    """Marked processes that are neither the live manager nor descend from it.

    This process and its ancestors are never among them.
    """
    own = set(_line(os.getpid()))
    return tuple(
        process
        for process in marked(stack)
        if process.pid not in own and (manager is None or manager not in _line(process.pid))
    )


def _line(pid: int) -> tuple[int, ...]:
    """A PID and its ancestors."""
    line: list[int] = []
    while pid > 0 and pid not in line:
        line.append(pid)
        process = look(pid)
        pid = process.parent if process else 0
    return tuple(line)


def wait_gone(process: Process, timeout_s: float) -> bool:
    """Whether the process ended in time."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not _same(process):
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0, timeout_s) * 1000))
    finally:
        os.close(descriptor)


def _same(process: Process) -> bool:
    now = look(process.pid)
    return now is not None and now.started == process.started


def _signal(process: Process, number: signal.Signals) -> None:
    """Send it to this very process, not to a later one of the same PID."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if _same(process):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def end(processes: Iterable[Process], *, grace_s: float = 5) -> None:
    """SIGTERM to all, SIGKILL to those that are there after `grace_s`; a Failure if one stays."""
    left = tuple(processes)
    for process in left:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    left = tuple(p for p in left if not wait_gone(p, deadline - time.monotonic()))
    for process in left:
        _signal(process, signal.SIGKILL)
    deadline = time.monotonic() + 10
    stays = [p.pid for p in left if not wait_gone(p, deadline - time.monotonic())]
    if stays:
        raise Failure(
            PROCESS_STAYS.at("processes", f"PID {stays[0]} does not end, even after SIGKILL"),
            status=3,
        )
