"""Progress of downloads: bars with speed and time left on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmdecl.store.progress import Progress
from llmdecl.units import format_bytes

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

EVERY_S = 10.0
"""Time between two lines about one item."""
WIDTH = 44
"""Columns of an item's name, where there is room for it."""
OTHER_COLUMNS = 58
"""Columns of the bar and what stands behind it."""


@contextmanager
def progress_view() -> Iterator[Progress]:
    """The view that fits standard error."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Terminal(bars)


def shorten(item: str, width: int = WIDTH) -> str:
    """The item with its middle left out, so that lines keep their width."""
    if len(item) <= width:
        return item
    head = (width - 1) // 2
    return f"{item[:head]}…{item[head + 1 - width :]}"


class Terminal:
    """One bar an item."""

    def __init__(self, bars: "RichProgress") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def _name(self, item: str) -> str:
        return shorten(item, min(WIDTH, max(16, self._bars.console.width - OTHER_COLUMNS)))

    def begin(self, item: str, total: int | None, so_far: int = 0) -> None:
        """A new bar, or the item's bar from the start.

        Its speed and time left are of the bytes that come from now on.
        """
        with self._lock:
            if item not in self._tasks:
                name = self._name(item)
                self._tasks[item] = self._bars.add_task(name, total=total, completed=so_far)
            else:
                self._bars.reset(self._tasks[item], total=total, completed=so_far)

    def advance(self, item: str, amount: int) -> None:
        """Move the item's bar."""
        with self._lock:
            if item in self._tasks:
                self._bars.advance(self._tasks[item], amount)

    def waits(self, item: str, why: str) -> None:
        """A line above the bars."""
        self._bars.console.print(f"{item}: waits, {why}", markup=False, highlight=False)

    def done(self, item: str, note: str = "") -> None:
        """Take the bar away; a line stays when it had one."""
        with self._lock:
            task = self._tasks.pop(item, None)
            if task is not None:
                self._bars.remove_task(task)
                self._bars.console.print(f"{item}: {note or 'done'}", markup=False, highlight=False)


@dataclass
class _Moving:
    """How far an item is, and since when it moves: `first` bytes were there at `since`."""

    total: int | None
    so_far: int
    first: int
    since: float
    said: float


class Lines:
    """A line when an item starts, every ten seconds while it moves, and when it is done.

    Speed is the mean since the item's step began, and the time left follows from it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._items: dict[str, _Moving] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def begin(self, item: str, total: int | None, so_far: int = 0) -> None:
        """One line for an item's first step."""
        with self._lock:
            if item not in self._items:
                words = [format_bytes(total)] if total else []
                words += [f"{format_bytes(so_far)} are here"] if so_far else []
                self._say(f"{item}: begins" + (f" ({', '.join(words)})" if words else ""))
            now = self._clock()
            self._items[item] = _Moving(total, so_far, so_far, now, now)

    def advance(self, item: str, amount: int) -> None:
        """A line now and then."""
        with self._lock:
            moving = self._items.get(item)
            if moving is None:
                return
            moving.so_far += amount
            now = self._clock()
            if now - moving.said >= EVERY_S:
                self._say(f"{item}: {_how_far(moving, now)}")
                moving.said = now

    def waits(self, item: str, why: str) -> None:
        """A line."""
        with self._lock:
            self._say(f"{item}: waits, {why}")

    def done(self, item: str, note: str = "") -> None:
        """The last line, if there was a first."""
        with self._lock:
            if self._items.pop(item, None) is not None:
                self._say(f"{item}: {note or 'done'}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _how_far(moving: _Moving, now: float) -> str:
    words = format_bytes(moving.so_far)
    if moving.total:
        words += f" of {format_bytes(moving.total)}"
    elapsed, gained = now - moving.since, moving.so_far - moving.first
    if elapsed <= 0 or gained <= 0:
        return words
    words += f", {format_bytes(int(gained / elapsed))}/s"
    if moving.total and moving.total > moving.so_far:
        left_s = round((moving.total - moving.so_far) * elapsed / gained)
        words += f", {left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"
    return words
