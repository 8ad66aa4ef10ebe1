"""One request on its way through a model: lease, connection, answer, and every way it can end."""

import asyncio
import logging
from typing import TYPE_CHECKING

from llmdecl.router.answer_head import AnswerHead
from llmdecl.router.errors import error_event
from llmdecl.router.http.answer import refused, rejected
from llmdecl.router.http.dechunk import Dechunker
from llmdecl.router.http.request import Reject, Request
from llmdecl.router.metrics import CLIENT_LEFT
from llmdecl.router.ports import Lease, Refused
from llmdecl.router.upstream import Upstream

if TYPE_CHECKING:
    from llmdecl.router.http.client import ClientConnection
    from llmdecl.router.server import Server

log = logging.getLogger("llmdecl.router")

_DEAD_PROCESS_WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Between refused connections, until the lifecycle has seen that the process died."""

_POST = b"POST %b HTTP/1.1\r\nHost: model\r\n%bContent-Length: %d\r\n\r\n"
_GET = b"GET %b HTTP/1.1\r\nHost: model\r\n%b\r\n"
"""Also for HEAD, whose answer has the head of a GET."""

_DYING_S = 0.25
"""A killed process accepts for a moment longer. A request that it drops so soon did not kill it."""


class Exchange:
    """Answers one request by a model. It is the `Receiver` of the model's answer."""

    _status = 0
    _bytes_out = 0
    _event_stream = False
    _refusals = 0
    _retried = False
    _plain = True
    _dropped = False
    _sent = 0.0
    _over = False
    _dechunker: Dechunker | None = None
    _lease: Lease | None = None
    _upstream: Upstream | None = None
    _task: asyncio.Task[None] | None = None

    def __init__(
        self,
        server: "Server",
        client: "ClientConnection",
        request: Request,
        *,
        model: str,
        stream: bool,
    ) -> None:
        self._server = server
        self._client = client
        self._request = request
        self._model = model
        self._stream = stream
        self._counts = server.metrics.of(model)
        self._loop = server.loop
        server.outbox.under_way += 1
        self._started = server.loop.time()
        length = len(request.body)
        self._counts.bytes_in += length
        if request.method == b"POST":
            self._head = _POST % (request.target, request.forward, length)
        else:
            self._head = _GET % (request.target, request.forward)

    # from the client's side

    def start(self) -> None:
        """At once when the model is ready and a connection idle; otherwise in a task."""
        lease = self._server.lifecycle.try_acquire(self._model)
        if lease is None:
            self._task = self._loop.create_task(self._wait())
            return
        self._lease = lease
        self._counts.in_flight += 1
        upstream = self._server.pool.take(lease)
        if upstream is None:
            self._task = self._loop.create_task(self._connect())
        else:
            self._send(upstream)

    def cancel(self) -> None:
        """The client left: the model must not compute for nobody."""
        if self._over:
            return
        upstream = self._upstream
        if self._task is not None:
            self._task.cancel()
        if upstream is not None:
            upstream.abort()
        self._finish(CLIENT_LEFT, abandoned=upstream is not None and not self._stream)

    def pause(self) -> None:
        """The client takes no more for now."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        """The client takes more again."""
        if self._upstream is not None:
            self._upstream.resume()

    # towards the model

    async def _wait(self) -> None:
        """Queue for a lease, then go on."""
        self._counts.queued += 1
        try:
            lease = await self._server.lifecycle.acquire(self._model)
        except Refused as refusal:
            self._refuse(refusal)
            return
        except Exception:  # a fault of ours must not leave a client without an answer
            log.exception("%s: no lease", self._model)
            self._reject(500, "the router failed; its log says more")
            return
        finally:
            self._counts.queued -= 1
        self._lease = lease
        self._counts.in_flight += 1
        await self._connect()

    def _release(self, *, abandoned: bool = False) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            self._counts.in_flight -= 1
            self._server.lifecycle.release(lease, abandoned=abandoned)

    async def _connect(self) -> None:
        """An idle or a fresh connection; then the request is sent."""
        assert self._lease is not None
        pool = self._server.pool
        try:
            upstream = pool.take(self._lease) or await pool.connect(self._lease)
        except OSError as error:
            await self._again(error)
            return
        self._task = None
        self._send(upstream)

    async def _again(self, error: OSError) -> None:
        """Nobody listens: the process has died, and the lifecycle will know in a moment."""
        self._release()
        if self._refusals == len(_DEAD_PROCESS_WAITS_S):
            self._reject(502, f"the model can't be reached: {error.strerror or error}")
            return
        await asyncio.sleep(_DEAD_PROCESS_WAITS_S[self._refusals])
        self._refusals += 1
        self._counts.retries += 1
        await self._wait()

    async def _if_gone(self, reason: str) -> None:
        """Once more with the next process, if this one turns out to have died; else 502."""
        self._release()
        for pause_s in _DEAD_PROCESS_WAITS_S[:3]:
            await asyncio.sleep(pause_s)
            if self._server.lifecycle.states().get(self._model) != "ready":
                self._counts.retries += 1
                await self._wait()
                return
        self._reject(502, reason)

    def _send(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._sent = self._loop.time()
        upstream.send(self, self._head, self._request.body)
        if self._client.write_paused:
            upstream.pause()

    # from the model

    def on_begin(self, head: AnswerHead, rest: bytes) -> None:
        """Pass on the head, and begin with the body."""
        request, client = self._request, self._client
        request.body = b""  # no retry from here on
        self._counts.ttft.observe(self._loop.time() - self._started)
        self._status = head.status
        self._event_stream = head.event_stream
        if head.until_close:
            request.keep_alive = False
        text = head.text
        if request.http10 and head.chunked:
            text = head.unchunked()
            self._dechunker = Dechunker()
        self._plain = self._dechunker is None and request.method != b"HEAD"
        keeps = client.keeps(request)
        if request.cors or not keeps:
            close = b"" if keeps else b"Connection: close\r\n"
            text = b"%b%b%b\r\n" % (text[:-2], request.cors, close)
        self._write(text, rest)

    def on_more(self, data: bytes) -> None:
        """Pass it on as it is."""
        self._write(b"", data)

    def _write(self, head: bytes, body: bytes) -> None:
        if not self._plain:
            body = self._shown(body)
        data = head + body if head else body
        self._bytes_out += len(data)
        if data:
            self._client.write(data)

    def _shown(self, body: bytes) -> bytes:
        """What of a body's bytes a client of HTTP/1.0, or one that asked for HEAD, gets."""
        if self._dechunker is not None:
            body = self._dechunker.feed(body)
        return b"" if self._request.method == b"HEAD" else body

    def on_end(self) -> None:
        """The answer is whole."""
        self._finish(self._status)
        self._client.done(self._request)

    def on_broken(self, reason: str, *, stale: bool, chunk_may_follow: bool) -> None:
        """The model is gone, or its answer makes no sense."""
        self._upstream = None
        if stale and not self._retried:
            self._retried = True
            self._counts.retries += 1
            self._task = self._loop.create_task(self._reconnect())
        elif not self._status and not self._dropped and self._loop.time() < self._sent + _DYING_S:
            self._dropped = True
            self._task = self._loop.create_task(self._if_gone(reason))
        elif not self._status:
            self._reject(502, reason)
        else:
            log.warning("%s: %s in the middle of an answer", self._model, reason)
            if chunk_may_follow and self._event_stream and self._request.method != b"HEAD":
                self._last_event(reason)
            self._finish(502)
            self._client.cut()

    def _last_event(self, reason: str) -> None:
        event = error_event(reason)
        framed = event if self._dechunker else b"%x\r\n%b\r\n" % (len(event), event)
        self._client.write(framed)

    async def _reconnect(self) -> None:
        """Once more on a fresh connection: the idle one had been closed just then."""
        assert self._lease is not None
        self._server.pool.close(self._model)
        await self._connect()

    # every end

    def _refuse(self, refusal: Refused) -> None:
        request, client = self._request, self._client
        close = not client.keeps(request)
        head_only = request.method == b"HEAD"
        client.write(refused(refusal, close=close, head_only=head_only, extra=request.cors))
        self._finish(refusal.status)
        client.done(request)

    def _reject(self, status: int, reason: str) -> None:
        request, client = self._request, self._client
        reject = Reject(status, reason, code="upstream_died" if status == 502 else None)
        client.write(
            rejected(
                reject,
                close=not client.keeps(request),
                head_only=request.method == b"HEAD",
                extra=request.cors,
            )
        )
        self._finish(status)
        client.done(request)

    def _finish(self, status: int, *, abandoned: bool = False) -> None:
        """Count, and give the lease back; once."""
        assert not self._over
        self._over = True
        self._task = self._upstream = None
        counts = self._counts
        self._server.outbox.under_way -= 1
        counts.codes[status] += 1
        counts.bytes_out += self._bytes_out
        counts.duration.observe(self._loop.time() - self._started)
        self._release(abandoned=abandoned)
