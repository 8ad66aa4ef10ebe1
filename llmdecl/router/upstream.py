"""Connections to models' unix sockets: splicing answers, and keeping idle connections."""

import asyncio
from itertools import count
from typing import Protocol, cast

import httptools

from llmdecl.router.answer_head import AnswerHead, until_close
from llmdecl.router.http.repeated import RepeatedHead, remember
from llmdecl.router.outbox import Outbox
from llmdecl.router.ports import Lease

_HEAD_BYTES = 256 << 10
_IDLE_S = 4
"""llama-server closes an idle connection after 5 s."""


class Receiver(Protocol):
    """Who an answer is for."""

    def on_begin(self, head: AnswerHead, rest: bytes) -> None:
        """The whole head, and what of the body came with it."""

    def on_more(self, data: bytes) -> None:
        """More of the body, in its framing."""

    def on_end(self) -> None:
        """The answer is whole; the connection is the pool's again."""

    def on_broken(self, reason: str, *, stale: bool, chunk_may_follow: bool) -> None:
        """The connection is gone. `stale`: it had been idle, and no byte of an answer came.

        `chunk_may_follow`: the answer is chunked, and what was passed on ends between two chunks.
        """


class Upstream(asyncio.Protocol):
    """One connection to a model; one request at a time. Bytes pass as they are: llhttp only tells
    where the head and the answer end. Behind a head that repeats, its length tells."""

    def __init__(self, pool: "Pool", lease: Lease) -> None:
        self.pool = pool
        self.model = lease.model
        self.generation = lease.generation
        self.idle_since = 0
        self.receiver: Receiver | None = None
        self._transport = cast("asyncio.Transport", None)
        self._head = self._tail = b""
        self._heard = self._head_whole = self._begun = self._whole = self._overrun = False
        self._opened, self._closed = count(), count()
        self.on_chunk_header = self._opened.__next__  # no frame of Python for each chunk
        self.on_chunk_complete = self._closed.__next__
        self._parser = httptools.HttpResponseParser(self)
        self._known: RepeatedHead | None = None
        self._known_answer: AnswerHead | None = None
        """Of what is known, with the length that came last."""
        self._left = 0
        """Of the body behind a repeated head."""
        self._reused = self._paused = False
        self.reusable = True
        """After the answer in progress, as its head says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    @property
    def usable(self) -> bool:
        """The other side has not hung up, as far as is known."""
        return not self._transport.is_closing()

    def send(self, receiver: Receiver, head: bytes, body: bytes | bytearray) -> None:
        """A request; its answer goes to `receiver`."""
        self.receiver = receiver
        self._head = b""
        self._left = 0
        self._heard = self._head_whole = self._begun = self._whole = self._overrun = False
        if len(body) <= 65536:
            self.pool.outbox.put(self._transport, head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def abort(self) -> None:
        """Hang up now: nobody wants the answer any more."""
        self.receiver = None
        self._transport.abort()

    def pause(self) -> None:
        """The client takes no more for now."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """The client takes more again."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        receiver = self.receiver
        if receiver is None:  # nothing was asked
            self._transport.abort()
            return
        if self._left:
            self._continue(receiver, data)
            return
        known = None if self._heard else self._known
        self._heard = True
        if known is not None:
            start = known.fits(data)
            if start and len(data) <= start + known.length:
                self._repeat(receiver, data, start, known.length)
                return
        self._parse(receiver, data)

    def _repeat(self, receiver: Receiver, data: bytes, start: int, length: int) -> None:
        """The known head again. llhttp sees nothing of the answer, and stays between two."""
        answer = self._known_answer
        assert answer is not None
        if answer.length != length:
            answer = self._known_answer = answer.with_length(length)
        self._head, self._head_whole, self._begun = answer.text, True, True
        self._left = start + length - len(data)
        self._whole = not self._left
        self.reusable = True
        receiver.on_begin(answer, data[start:])
        if self._whole and self.receiver is receiver:
            self._end(receiver)

    def _continue(self, receiver: Receiver, data: bytes) -> None:
        """The body behind a repeated head."""
        if len(data) > self._left:
            self._break("the model sent more than its answer")
            return
        self._left -= len(data)
        self._whole = not self._left
        receiver.on_more(data)
        if self._whole and self.receiver is receiver:
            self._end(receiver)

    def _parse(self, receiver: Receiver, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._break(f"the model's answer is not HTTP: {error}")
            return
        self._tail = data[-2:]
        if self._overrun:
            self._break("the model sent more than its answer")
        elif self._begun:
            receiver.on_more(data)
        else:
            self._begin(receiver, data)
        if self._whole and self.receiver is receiver:
            self._end(receiver)

    def _begin(self, receiver: Receiver, data: bytes) -> None:
        data = self._head + data
        if not self._head_whole:
            self._head = data
            if len(data) > _HEAD_BYTES:
                self._break("the head of the model's answer has no end")
            return
        end = data.find(b"\r\n\r\n") + 4
        status = self._parser.get_status_code()
        if end < 4 or status < 200:
            self._break("the model's answer has no head that can be passed on")
            return
        in_one = not self._head
        self._head, self._begun = data[:end], True
        answer = AnswerHead.read(status, self._head, reusable=self.reusable)
        if in_one and answer.repeats:
            self._known, self._known_answer = remember(data), answer
        receiver.on_begin(answer, data[end:])

    def _end(self, receiver: Receiver) -> None:
        if self._paused:
            self.resume()
        self.receiver = None
        self._reused = True
        if self.reusable and self.usable:
            self.pool.give(self)
        else:
            self._transport.close()
        receiver.on_end()

    def _break(self, reason: str) -> None:
        receiver, self.receiver = self.receiver, None
        self._transport.abort()
        if receiver is not None:
            stale = self._reused and not self._heard
            receiver.on_broken(reason, stale=stale, chunk_may_follow=self._between_chunks())

    def _between_chunks(self) -> bool:
        even = next(self._opened) == next(self._closed)
        chunked = b"\r\ntransfer-encoding:" in self._head.lower()
        return chunked and even and not self._overrun and self._tail == b"\r\n"

    def eof_received(self) -> None:
        """No half-open connections: closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The model hung up, or we did."""
        receiver = self.receiver
        if receiver is None:
            self.pool.forget(self)
        elif self._head_whole and not self._whole and not exc and until_close(self._head):
            self.receiver = None
            receiver.on_end()
        else:
            reason = "the model closed the connection" + (f": {exc}" if exc else "")
            self._break(reason)

    # what llhttp calls

    def on_message_begin(self) -> None:
        """An answer starts; after the end of one there must be none."""
        self._overrun = self._whole

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_whole = True
        self.reusable = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._whole = True


class Pool:
    """Idle connections by model, the one used last on top.

    A few only: each one occupies a thread of llama-server until it times out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        self.outbox = outbox
        self._loop = loop
        self._idle: dict[str, list[Upstream]] = {}
        self.limits: dict[str, int] = {}
        self.now = 0
        """Seconds, by the server's sweep."""

    def take(self, lease: Lease) -> Upstream | None:
        """An idle connection to the very process that the lease is for."""
        idle = self._idle.get(lease.model)
        while idle:
            upstream = idle.pop()
            if upstream.generation == lease.generation and upstream.usable:
                return upstream
            upstream.abort()
        return None

    async def connect(self, lease: Lease) -> Upstream:
        """A fresh connection; raises OSError."""
        _, upstream = await self._loop.create_unix_connection(
            lambda: Upstream(self, lease), lease.socket
        )
        return upstream

    def give(self, upstream: Upstream) -> None:
        """Keep it for the next request, if there is room."""
        idle = self._idle.get(upstream.model)
        if idle is None:
            idle = self._idle[upstream.model] = []
        if len(idle) < self.limits.get(upstream.model, 0):
            upstream.idle_since = self.now
            idle.append(upstream)
        else:
            upstream.abort()

    def forget(self, upstream: Upstream) -> None:
        """It was closed."""
        idle = self._idle.get(upstream.model, [])
        if upstream in idle:
            idle.remove(upstream)

    def close(self, model: str) -> None:
        """Close the idle ones of a model."""
        for upstream in self._idle.pop(model, []):
            upstream.abort()

    def close_all(self) -> None:
        """Close all idle ones."""
        for model in list(self._idle):
            self.close(model)

    def sweep(self, now: int) -> None:
        """Close what has been idle for long, before the model does."""
        self.now = now
        for idle in self._idle.values():
            for upstream in [u for u in idle if now - u.idle_since >= _IDLE_S]:
                idle.remove(upstream)
                upstream.abort()
