"""Writes of one turn of the loop, sent together at its end.

A write wakes the process at the other end of the socket. With many connections at work, waking it
after each of them costs more than the writing: it takes its one message and falls asleep again.
With few at work there is nothing to wait for.
"""

import asyncio

_FEW = 3
"""Requests under way whose bytes are sent at once."""


class Outbox:
    """What is to be written before the loop waits for the next events."""

    __slots__ = ("_loop", "_waiting", "under_way")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self.under_way = 0
        """Requests between their last byte and their answer's."""

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send `data` when all that has come in has been looked at."""
        if not self._waiting:
            if self.under_way <= _FEW:
                transport.write(data)
                return
            self._loop.call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Send now: needed before a transport that has something here is closed."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
