"""Progress of downloads: bars with speed and time left on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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

    def begin(self, item: str, total: int | None) -> None:
        """A new bar, or the item's bar from the start."""
        with self._lock:
            if item not in self._tasks:
                self._tasks[item] = self._bars.add_task(self._name(item), total=total)
            else:
                self._bars.reset(self._tasks[item], total=total)

    def advance(self, item: str, amount: int) -> None:
        """Move the item's bar."""
        with self._lock:
            if item in self._tasks:
                self._bars.advance(self._tasks[item], amount)

    def done(self, item: str, note: str = "") -> None:
        """Take the bar away; a line stays when it had one."""
        with self._lock:
            task = self._tasks.pop(item, None)
            if task is not None:
                self._bars.remove_task(task)
                self._bars.console.print(f"{item}: {note or 'done'}", markup=False, highlight=False)


class Lines:
    """A line when an item starts, every ten seconds while it moves, and when it is done."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[int, int | None, float]] = {}
        self._lock = threading.Lock()

    def begin(self, item: str, total: int | None) -> None:
        """One line for an item's first step."""
        with self._lock:
            if item not in self._items:
                size = f" ({format_bytes(total)})" if total else ""
                self._say(f"{item}: begins{size}")
            self._items[item] = (0, total, time.monotonic())

    def advance(self, item: str, amount: int) -> None:
        """A line now and then."""
        with self._lock:
            if item not in self._items:
                return
            so_far, total, last = self._items[item]
            so_far, now = so_far + amount, time.monotonic()
            if now - last >= EVERY_S:
                of = f" of {format_bytes(total)}" if total else ""
                self._say(f"{item}: {format_bytes(so_far)}{of}")
                last = now
            self._items[item] = (so_far, total, last)

    def done(self, item: str, note: str = "") -> None:
        """The last line, if there was a first."""
        with self._lock:
            if self._items.pop(item, None) is not None:
                self._say(f"{item}: {note or 'done'}")

    @staticmethod
    def _say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
