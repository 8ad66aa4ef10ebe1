"""One progress of several files that arrive side by side."""

import threading

from llmdecl.sources.wheel import Tell


class Meter:
    """Adds up for one `Tell`, from several threads; worthless bytes are taken back."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._total: int | None = None
        self._amount = 0
        self._lock = threading.Lock()

    def begin(self, total: int | None, so_far: int) -> None:
        """`total` bytes are to come, `so_far` of them are here."""
        with self._lock:
            self._total, self._amount = total, so_far
            self._say()

    def advance(self, amount: int) -> None:
        """`amount` bytes more."""
        with self._lock:
            self._amount += amount
            self._tell.advance(amount)

    def take_back(self, amount: int) -> None:
        """`amount` bytes have to come again."""
        if amount:
            with self._lock:
                self._amount -= amount
                self._say()

    def _say(self) -> None:
        if self._amount:
            self._tell.begin(self._total, self._amount)
        else:
            self._tell.begin(self._total)
