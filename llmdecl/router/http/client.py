"""A client's connection: its requests in order, one answer at a time."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

from llmdecl.router.http.answer import rejected, stopping
from llmdecl.router.http.limits import (
    BODY_STALL_S,
    BUFFERED_BYTES,
    HEAD_S,
    IDLE_S,
    LINGER_S,
    PIPELINED_BYTES,
    REFUSED_BODY_BYTES,
    WRITE_STALL_S,
)
from llmdecl.router.http.parser import RequestParser
from llmdecl.router.http.request import Reject, Request

if TYPE_CHECKING:
    from llmdecl.router.exchange import Exchange
    from llmdecl.router.listeners import Listener
    from llmdecl.router.server import Server

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ClientConnection(asyncio.Protocol):
    """Parses, queues what is pipelined, and gives whole requests to the server one by one.

    A client that shuts down its sending side counts as gone: that is how one that left looks.
    """

    def __init__(self, server: "Server", listener: "Listener") -> None:
        self.listener = listener
        self.write_paused = False
        self._server = server
        self._outbox = server.outbox
        self._transport = cast("asyncio.Transport", None)
        self._parser = RequestParser(self)
        self._exchange: Exchange | None = None
        self._queue: deque[Request | Reject] = deque()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._body_bytes = 0
        self._reading_paused = self._closing = self._serving = False
        self._since = server.now
        self._head_since: int | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """One more client, if there is room."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.join(self):
            busy = Reject(503, "too many connections", close=True)
            busy.headers = (("Retry-After", "1"),)
            self._last_answer(busy)

    def data_received(self, data: bytes) -> None:
        """Parse, or keep for after the answer in progress."""
        if self._closing:
            return
        self._since = self._server.now
        if self._exchange is None and not self._queue:
            self._feed(data)
            return
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > PIPELINED_BYTES and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """The client left."""
        if self._exchange is not None:
            self._leave()
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """The client is gone."""
        self._closing = True
        self._leave()
        self._forget_body()
        self._server.leave(self)

    def pause_writing(self) -> None:
        """The client is slower than its model."""
        self.write_paused = True
        self._since = self._server.now
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.write_paused = False
        self._since = self._server.now
        if self._exchange is not None:
            self._exchange.resume()

    # the parser's side

    def on_head(self, request: Request) -> None:
        """Refuse early what needs no body to be refused."""
        site = self.listener.site
        if request.site is site and not self._server.draining:
            return  # a head that came before, and was admitted
        request.site, request.cors = site, b""
        try:
            if self._server.draining:
                raise stopping()
            site.admit(request)
        except Reject as reject:
            small = 0 <= request.length <= REFUSED_BODY_BYTES
            if reject.close or request.expects_continue or not small:
                reject.close = True
                raise
            request.refusal = reject
        first = self._exchange is None and not self._queue
        if request.expects_continue and first and not request.http10:
            self._transport.write(_CONTINUE)

    def on_body_bytes(self, count: int) -> None:
        """Bodies of all clients together are bounded."""
        self._body_bytes += count
        self._server.buffered += count
        if self._server.buffered > BUFFERED_BYTES:
            raise Reject(503, "too many large requests at once", close=True)

    def on_request(self, request: Request) -> None:
        """A whole request, to be answered in its turn."""
        self._queue.append(request)

    # the answer's side

    def keeps(self, request: Request) -> bool:
        """The connection will live on after this request."""
        return (
            request.keep_alive
            and not self._closing
            and not self.listener.gone
            and not self._server.draining
        )

    def write(self, data: bytes) -> None:
        """Bytes of an answer, sent at once."""
        self._outbox.put(self._transport, data)

    def done(self, request: Request) -> None:
        """The request in progress has its answer; on with the next."""
        self._exchange = None
        self._forget_body()
        if not self.keeps(request):
            self._end()
        elif not self._serving and (self._queue or self._pending or self._reading_paused):
            self._go_on()

    def cut(self) -> None:
        """The answer in progress can't be finished: the client must see that it is not whole."""
        self._exchange = None
        self._end()

    # the server's side

    @property
    def busy(self) -> bool:
        """A request is in progress or has begun to come."""
        return self._exchange is not None or bool(self._queue) or self._parser.in_body

    def close_if_idle(self) -> None:
        """The listener is gone or the server drains: an idle connection goes at once."""
        if not self.busy:
            self._end()

    def abort(self) -> None:
        """End it now."""
        self._leave()
        self._transport.abort()

    def sweep(self, now: int) -> None:
        """Once a second: end what has waited too long."""
        idle = now - self._since
        if self._closing:
            unsent = self._transport.get_write_buffer_size()
            if idle > (WRITE_STALL_S if unsent else LINGER_S):
                self._transport.abort()
        elif self.write_paused:
            if idle > WRITE_STALL_S:
                self.abort()
        elif self._exchange is not None:
            self._since = now
        elif self._overdue(now, idle):
            self._last_answer(Reject(408, "the request did not come to its end", close=True))
        elif idle > IDLE_S:
            self.close_if_idle()

    def _overdue(self, now: int, idle: int) -> bool:
        if self._parser.in_body:
            return idle > BODY_STALL_S
        return self._head_since is not None and now - self._head_since > HEAD_S

    # inside

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except Reject as reject:
            self._queue.append(reject)
        if not self._parser.in_head:
            self._head_since = None
        elif self._head_since is None:
            self._head_since = self._server.now
        if self._queue:
            self._go_on()

    def _go_on(self) -> None:
        """Answer what is queued, then parse what was kept, until one takes time."""
        self._serving = True
        try:
            while self._exchange is None and not self._closing:
                if self._queue:
                    self._serve(self._queue.popleft())
                elif self._pending:
                    self._feed_pending()
                else:
                    break
        finally:
            self._serving = False
        if self._reading_paused and not self._pending and not self._closing:
            self._reading_paused = False
            self._transport.resume_reading()

    def _feed_pending(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        try:
            self._parser.feed(data)
        except Reject as reject:
            self._queue.append(reject)

    def _serve(self, item: Request | Reject) -> None:
        if isinstance(item, Reject):
            self._last_answer(item)
            return
        exchange = self._server.serve(self, item)
        if exchange is not None:
            self._exchange = exchange
            exchange.start()

    def _last_answer(self, reject: Reject) -> None:
        """Answer, then read and drop what still comes for a moment: closing at once would reset
        the connection under the answer."""
        self._server.metrics.of("").codes[reject.status] += 1
        self._closing = True
        self._since = self._server.now
        self._parser = RequestParser(self)  # what it held of a body is no longer needed
        self._forget_body()
        self._outbox.flush()
        self._transport.write(rejected(reject, close=True))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _end(self) -> None:
        self._closing = True
        self._outbox.flush()
        self._transport.close()

    def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._queue.clear()
        if exchange is not None:
            exchange.cancel()

    def _forget_body(self) -> None:
        self._server.buffered -= self._body_bytes
        self._body_bytes = 0
