"""Writes of one turn of the loop, sent together at its end.

A write wakes the process at the other end of the socket. With many connections at work, waking it
after each of them costs more than the writing: it takes its one message and falls asleep again.
"""

import asyncio


class Outbox:
    """What is to be written before the loop waits for the next events."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send `data` when all that has come in has been looked at."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Send now: needed before a transport that has something here is closed."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if not transport.is_closing():
                transport.write(data)
