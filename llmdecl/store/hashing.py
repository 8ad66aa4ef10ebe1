"""SHA-256 of a download while it arrives: a thread that follows the front of what is there."""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable

from llmdecl.store.remains import Remains

PIECE_BYTES = 1 << 20
MOST_QUEUED = 8
"""Buffers that wait to be hashed; what comes while there are so many is read from the file."""


class Buffers:
    """Memory that is received into, used again and again: fresh pages cost as much as copying."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        """One of `PIECE_BYTES`."""
        try:
            return self._free.pop()
        except IndexError:
            return memoryview(bytearray(PIECE_BYTES))

    def give(self, buffer: memoryview) -> None:
        """Give one, or a slice from its start, back."""
        self._free.append(memoryview(buffer.obj))


class Follower:
    """Hashes a download from its start, as far as it is whole, until its end.

    What arrives at the front comes straight from the buffer that it was received into; what was
    there before, or arrived ahead of the front, is read from the file. `after` is called at its
    end, whatever that is.
    """

    def __init__(self, remains: Remains, buffers: Buffers, after: Callable[[], None]) -> None:
        self._remains, self._buffers, self._after = remains, buffers, after
        self._queue: deque[memoryview] = deque()
        self._next = 0
        """Up to here everything is hashed, in the queue, or being read from the file."""
        self._ended = False
        self.sha256: str | None = None
        self.error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._remains.hand_over = self._offered
        self._thread.start()

    def end(self) -> None:
        """Stop following, and wait until it has."""
        self._remains.hand_over = None
        self._ended = True
        self._thread.join()

    def _offered(self, offset: int, data: memoryview) -> bool:
        if offset != self._next or len(self._queue) >= MOST_QUEUED or self._ended:
            return False
        self._queue.append(data)
        self._next += len(data)
        return True

    def _run(self) -> None:
        try:
            self.sha256 = self._follow()
        except OSError as error:
            self.error = error
        finally:
            self._after()

    def _follow(self) -> str | None:
        digest, hashed = hashlib.sha256(), 0
        size = self._remains.plan.size_bytes
        piece = memoryview(bytearray(PIECE_BYTES))
        while hashed < size:
            queued, start, count = self._wait()
            if queued is not None:
                digest.update(queued)
                hashed += len(queued)
                self._buffers.give(queued)
            elif not count:
                return None
            while count:
                got = os.preadv(self._remains.data, [piece[:count]], start)
                if got == 0:
                    raise OSError(f"`{self._remains.path}` became shorter while it was read")
                digest.update(piece[:got])
                start, count, hashed = start + got, count - got, hashed + got
        return digest.hexdigest()

    def _wait(self) -> tuple[memoryview | None, int, int]:
        """A buffer, or offset and bytes of what is to be read from the file; nothing at the end."""
        with self._remains.moved:
            while not self._ended:
                if self._queue:
                    return self._queue.popleft(), 0, 0
                start = self._next
                if (count := min(PIECE_BYTES, self._remains.frontier() - start)) > 0:
                    self._next += count
                    return None, start, count
                self._remains.moved.wait(0.1)
        return None, 0, 0
