"""SHA-256 of a download while it arrives: a thread that follows the front of what is there."""

import hashlib
import os
import threading
from collections.abc import Callable

from llmdecl.store.remains import Remains

_PIECE = 1 << 20


class Follower:
    """Reads a download again from its start, as far as it is whole, until its end.

    What was just written comes out of the page cache; after a resume the disk is read. `after` is
    called at its end, whatever that is.
    """

    def __init__(self, remains: Remains, after: Callable[[], None]) -> None:
        self._remains, self._after = remains, after
        self._ended = False
        self.sha256: str | None = None
        self.error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def end(self) -> None:
        """Stop following, and wait until it has."""
        self._ended = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._follow()
        except OSError as error:
            self.error = error
        finally:
            self._after()

    def _follow(self) -> None:
        digest, position = hashlib.sha256(), 0
        piece = memoryview(bytearray(_PIECE))
        size = self._remains.plan.size_bytes
        while position < size and not self._ended:
            front = self._remains.wait_front(position, 0.1)
            while position < front and not self._ended:
                count = min(_PIECE, front - position)
                got = os.preadv(self._remains.data, [piece[:count]], position)
                if got == 0:
                    raise OSError(f"`{self._remains.path}` became shorter while it was read")
                digest.update(piece[:got])
                position += got
        if position == size:
            self.sha256 = digest.hexdigest()
