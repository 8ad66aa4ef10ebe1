"""How many connections there are at a time, all downloads of a run together."""

import threading
from collections.abc import Callable


class Slots:
    """A counted semaphore that can be called off and says whether somebody waits."""

    def __init__(self, count: int) -> None:
        self._free, self._waiting = count, 0
        self._changed = threading.Condition()

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for a slot."""
        return self._waiting > 0

    def take(self, called_off: Callable[[], bool]) -> bool:
        """Wait for a slot; False when called off."""
        with self._changed:
            self._waiting += 1
            try:
                while self._free == 0:
                    if called_off():
                        return False
                    self._changed.wait(0.1)
                self._free -= 1
                return True
            finally:
                self._waiting -= 1

    def take_free(self) -> bool:
        """A slot that nobody waits for, if there is one now."""
        with self._changed:
            if self._free == 0 or self._waiting:
                return False
            self._free -= 1
            return True

    def give(self) -> None:
        """Give a slot back."""
        with self._changed:
            self._free += 1
            self._changed.notify()
