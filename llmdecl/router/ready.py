"""Waits until a model answers, or a device is there: what a unit runs before and after a start.

Only the standard library, and quick to start. Exit status: 0 ready, 1 not in time.
"""

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.02
REQUEST = b"GET /health HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n"


def await_socket(path: str, timeout_s: float) -> bool:
    """Whether `GET /health` on the unix socket answers 200 in time."""
    return _await(lambda: _healthy(path), timeout_s)


def await_path(path: str, timeout_s: float) -> bool:
    """Whether the path exists in time."""
    return _await(Path(path).exists, timeout_s)


def _await(good: Callable[[], bool], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not good():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_S)
    return True


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
