"""Waits until a model answers, or a device is there: what a unit runs before and after a start.

Only the standard library, and quick to start. Exit status: 0 ready, 1 not in time.
"""

import os
import select
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.02
REQUEST = b"GET /health HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n"


def await_socket(path: str, timeout_s: float, process: int | None = None) -> str | None:
    """Why `GET /health` on the unix socket does not answer 200 in time; `None`: it does.

    Once `process` has ended it never will. A unit that went on waiting would be `activating` all
    the time, and nobody could start it anew.
    """
    has_ended = _watched(process)
    end = time.monotonic() + timeout_s
    while not _healthy(path):
        if has_ended():
            return f"process {process} ended before it was healthy"
        if time.monotonic() >= end:
            return f"nothing healthy at {path} after {timeout_s:g} s"
        time.sleep(POLL_S)
    return None


def await_path(path: str, timeout_s: float) -> str | None:
    """Why the path does not exist in time; `None`: it does."""
    end = time.monotonic() + timeout_s
    while not Path(path).exists():
        if time.monotonic() >= end:
            return f"{path} is not there after {timeout_s:g} s"
        time.sleep(POLL_S)
    return None


def _watched(process: int | None) -> Callable[[], bool]:
    """Tells whether a process has ended; never, where that can't be seen."""
    if process is None:
        return lambda: False
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return lambda: True
    except (AttributeError, OSError):
        return lambda: False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))


def _healthy(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(REQUEST)
            return client.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    except OSError:
        return False


def say(text: str) -> int:
    """For the journal."""
    sys.stderr.write(f"{text}\n")
    return 1
