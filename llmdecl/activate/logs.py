"""Logs in `{state}/logs`: the end of one, and following it through rotation."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 16
SETTLED_S, SETTLED_LIMIT_S = 0.2, 2.0
JOURNAL_S = 20.0


def tail(path: Path, lines: int) -> list[str]:
    """The last `lines` lines; none when there is no such file. Reads no more than it needs."""
    if lines <= 0:
        return []
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            data = b""
            while size > 0 and data.count(b"\n") <= lines:
                step = min(CHUNK, size)
                size -= step
                file.seek(size)
                data = file.read(step) + data
    except OSError:
        return []
    return data.decode(errors="replace").splitlines()[-lines:]


def settled_tail(
    path: Path, lines: int, *, quiet_s: float = SETTLED_S, limit_s: float = SETTLED_LIMIT_S
) -> list[str]:
    """The same, once nothing was written for `quiet_s`.

    A process's last words pass through supervisord and reach the file after its exit is seen.
    """
    deadline = time.monotonic() + limit_s
    before, now = None, _size(path)
    while before != now and time.monotonic() < deadline:
        time.sleep(quiet_s)
        before, now = now, _size(path)
    return tail(path, lines)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class FileLog:
    """A log that supervisord writes into a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether there is the file."""
        return self.path.exists()

    def tail(self, lines: int) -> list[str]:
        """The last lines."""
        return tail(self.path, lines)

    def settled_tail(self, lines: int) -> list[str]:
        """The same, once nothing more arrives."""
        return settled_tail(self.path, lines)

    def follow(self, lines: int) -> Iterator[str]:
        """The last lines, then others as they are written."""
        follower = Follower(self.path)
        yield from tail(self.path, lines)
        yield from follow(follower)


class JournalLog:
    """A unit's lines in systemd's journal, by journalctl(1); `since` seconds of the epoch."""

    def __init__(self, unit: str, *, user: bool, since: float = 0) -> None:
        which = "--user-unit" if user else "--unit"
        self._words = ["journalctl", which, unit, "--output=cat", "--no-pager", "--quiet"]
        self._words += [f"--since=@{since:.3f}"] if since else []

    def exists(self) -> bool:
        """Whether the unit ever said anything."""
        return bool(self.tail(1))

    def tail(self, lines: int) -> list[str]:
        """The last lines; none where there is no journal."""
        try:
            done = subprocess.run(
                [*self._words, f"--lines={lines}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=JOURNAL_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return done.stdout.decode(errors="replace").splitlines()

    def settled_tail(self, lines: int) -> list[str]:
        """The same, once nothing more arrives."""
        deadline = time.monotonic() + SETTLED_LIMIT_S
        before, now = None, self.tail(lines)
        while before != now and time.monotonic() < deadline:
            time.sleep(SETTLED_S)
            before, now = now, self.tail(lines)
        return now

    def follow(self, lines: int) -> Iterator[str]:
        """The last lines, then others as they come."""
        with subprocess.Popen(
            [*self._words, "--follow", f"--lines={lines}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    yield line.rstrip("\n")
            finally:
                process.terminate()


class Follower:
    """Lines of a log as they are written.

    A file that is rotated away is read to its end, then its successor from the start; a truncated
    one again from its start; one that is not there yet is waited for.
    """

    def __init__(self, path: Path, *, from_end: bool = True) -> None:
        self.path = path
        self.file: BinaryIO | None = None
        self.rest = b""
        self._open()
        if self.file is not None and from_end:
            self.file.seek(0, os.SEEK_END)

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self.file = self.path.open("rb")

    def close(self) -> None:
        """No more lines."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def lines(self) -> Iterator[str]:
        """All whole lines that are there now."""
        if self.file is None:
            self._open()
        while self.file is not None:
            while data := self.file.read(CHUNK):
                *whole, self.rest = (self.rest + data).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
            if not self._moved_on():
                return

    def _moved_on(self) -> bool:
        """Whether there is a newer file, or this one starts anew."""
        assert self.file is not None
        try:
            now = self.path.stat()
        except OSError:
            return False
        if now.st_ino != os.fstat(self.file.fileno()).st_ino:
            self.close()
            self._open()
        elif now.st_size < self.file.tell():
            self.file.seek(0)
        else:
            return False
        self.rest = b""
        return self.file is not None


def follow(
    follower: Follower, *, stop: Callable[[], bool] = lambda: False, poll_s: float = 0.1
) -> Iterator[str]:
    """Lines without end, until `stop()`."""
    try:
        while True:
            last = stop()
            yield from follower.lines()
            if last:
                return
            time.sleep(poll_s)
    finally:
        follower.close()
