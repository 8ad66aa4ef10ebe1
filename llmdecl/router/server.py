"""The data path: listeners, connections, and which answer a request gets."""

import asyncio
import contextlib
import resource
from time import time

from llmdecl.router import pages
from llmdecl.router.config import RouterConfig
from llmdecl.router.exchange import Exchange
from llmdecl.router.given import Given
from llmdecl.router.http.answer import answer, rejected
from llmdecl.router.http.client import ClientConnection
from llmdecl.router.http.limits import CONNECTIONS
from llmdecl.router.http.request import Reject, Request
from llmdecl.router.listeners import Address, Listener, Opening, address
from llmdecl.router.metrics import Metrics
from llmdecl.router.outbox import Outbox
from llmdecl.router.ports import Lifecycle
from llmdecl.router.routes import Route, Serve
from llmdecl.router.site import Site, allowed, site
from llmdecl.router.upstream import Pool

_FILES = 1 << 16
_SPARE_CONNECTIONS = 2
"""Idle connections kept beyond a model's slots; each takes a thread of llama-server."""


class Server:
    """Everything between clients' sockets and models' sockets: a `ports.DataPath`.

    Must be made inside a running loop, and used from its thread only.
    """

    def __init__(
        self, config: RouterConfig, lifecycle: Lifecycle, given: Given | None = None
    ) -> None:
        self.given = given
        """Sockets by the names of endpoints, where systemd listens."""
        self.config = config
        self.lifecycle = lifecycle
        self.loop = asyncio.get_running_loop()
        self.metrics = Metrics()
        self.outbox = Outbox(self.loop)
        self.pool = Pool(self.loop, self.outbox)
        self.now = 0
        """Seconds since the start, by the sweep: cheap, and good enough for time-outs."""
        self.buffered = 0
        """Bytes of request bodies held."""
        self.draining = False
        self.started = int(time())
        self._clients: set[ClientConnection] = set()
        self._listeners: dict[Address, Listener] = {}
        self._most_clients = CONNECTIONS
        self._sweeper: asyncio.TimerHandle | None = None

    # a ports.DataPath

    async def start(self) -> None:
        """Open the listeners. Raises OSError, with the address in its text."""
        self._most_clients = min(CONNECTIONS, max(16, (_raise_file_limit() - 64) // 2))
        await self.reconfigure(self.config)
        self._sweep()

    async def reconfigure(self, config: RouterConfig) -> None:
        """Take endpoints, aliases, defaults and keys from `config` without dropping a connection.

        Raises OSError, with the address or the key file in its text; then nothing has changed.
        """
        sites = {address(endpoint): site(config, endpoint) for endpoint in config.endpoints}
        gone = [listener for where, listener in self._listeners.items() if where not in sites]
        new = {w: s for w, s in sites.items() if w not in self._listeners}
        fresh = await Opening(self, list(gone)).open(new)
        for where, listener in self._listeners.items():
            if where in sites:
                listener.site = sites[where]
        for listener in gone:
            del self._listeners[listener.where]
            listener.close()
        for listener in fresh:
            self._listeners[listener.where] = listener
            await listener.serve(self)
        self.config = config
        self.pool.limits = {m.name: m.slots + _SPARE_CONNECTIONS for m in config.models}
        self.metrics.keep(m.name for m in config.models)
        for client in [c for c in self._clients if c.listener.gone]:
            client.close_if_idle()

    def close_upstreams(self, model: str) -> None:
        """Close pooled idle connections to `model`."""
        self.pool.close(model)

    def in_flight(self, model: str) -> int:
        """Requests between admission and last byte."""
        counts = self.metrics.models.get(model)
        return counts.in_flight if counts is not None else 0

    async def drain(self, timeout_s: float) -> bool:
        """Accept nothing new, and wait for what is in progress; true when all of it is done.

        What still comes on open connections gets 503.
        """
        self.draining = True
        for listener in self._listeners.values():
            listener.close()
        for client in list(self._clients):
            client.close_if_idle()
        end = self.loop.time() + timeout_s
        while any(client.busy for client in self._clients):
            if self.loop.time() >= end:
                return False
            await asyncio.sleep(0.01)
        return True

    async def close(self) -> None:
        """Stop listening and close every connection, now."""
        self.draining = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for listener in self._listeners.values():
            if not listener.gone:
                listener.close()
        for client in list(self._clients):
            client.abort()
        self.pool.close_all()
        for _ in range(100):
            if not self._clients:
                break
            await asyncio.sleep(0)

    def addresses(self) -> dict[str, list[tuple[str, int] | str]]:
        """Where each endpoint listens by its name, with the port that port 0 became."""
        return {
            listener.site.endpoint.name: [
                name if isinstance(name, str) else (name[0], name[1])
                for sock in listener.sockets
                for name in [sock.getsockname()]
            ]
            for listener in self._listeners.values()
        }

    # for connections

    def join(self, client: ClientConnection) -> bool:
        """Count a client; false when there are too many."""
        if len(self._clients) >= self._most_clients:
            return False
        self._clients.add(client)
        return True

    def leave(self, client: ClientConnection) -> None:
        """It is gone."""
        self._clients.discard(client)

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        return len(self._clients)

    def serve(self, client: ClientConnection, request: Request) -> Exchange | None:
        """Answer a whole request here, or hand it to a model: then the exchange, not yet begun."""
        assert request.site is not None
        head_only = request.method == b"HEAD"
        route = request.route
        try:
            if request.refusal is not None:
                raise request.refusal
            if route is not None and request.method != b"OPTIONS":
                if route.serve is Serve.MODEL:
                    return self._exchange(client, request, request.site, route)
                status, kind, body = self._own(request, request.site)
                text = answer(
                    status,
                    body,
                    kind=kind,
                    close=not client.keeps(request),
                    head_only=head_only,
                    extra=request.cors,
                )
            else:
                status, text = 204, self._options(client, request)
        except Reject as reject:
            status = reject.status
            close = reject.close or not client.keeps(request)
            request.keep_alive = not close
            text = rejected(reject, close=close, head_only=head_only, extra=request.cors)
        self.metrics.of("").codes[status] += 1
        client.write(text)
        client.done(request)
        return None

    def _exchange(
        self, client: ClientConnection, request: Request, place: Site, route: Route
    ) -> Exchange:
        served, stream = place.find(request)
        if served.rewrite is not None and request.method == b"POST":
            request.body = served.rewrite.apply(request.body, route)
        return Exchange(self, client, request, model=served.config.name, stream=stream)

    def _own(self, request: Request, place: Site) -> tuple[int, str, bytes]:
        """Status, content type and body of what the router answers itself."""
        assert request.route is not None
        match request.route.serve:
            case Serve.HEALTH:
                return 200, "application/json", b'{"status":"ok"}'
            case Serve.METRICS:
                text = self.metrics.render(self.lifecycle.states(), self.connections)
                return 200, "text/plain; version=0.0.4; charset=utf-8", text
            case Serve.MODELS:
                states = self.lifecycle.states()
                body = pages.models(place, request.path, states, self.started)
                return 200, "application/json", body
            case Serve.PAGE:
                page = pages.status(place, self.lifecycle.states(), self.metrics)
                return 200, "text/html; charset=utf-8", page
            case Serve.MODEL:
                raise AssertionError(request.path)

    def _options(self, client: ClientConnection, request: Request) -> bytes:
        """What is allowed; a browser's preflight is answered for pages of this machine only."""
        if request.route is None and request.target != b"*":
            raise Reject(404, "there is no such path")
        methods = "GET, HEAD, POST, OPTIONS" if request.route is None else allowed(request.route)
        headers = [("Allow", methods)]
        if request.cors:
            asked = request.preflight.decode("latin-1") or "Authorization, Content-Type"
            headers += [
                ("Access-Control-Allow-Methods", methods),
                ("Access-Control-Allow-Headers", asked),
                ("Access-Control-Max-Age", "600"),
            ]
        close = not client.keeps(request)
        return answer(204, b"", close=close, headers=headers, extra=request.cors)

    def _sweep(self) -> None:
        self.now += 1
        self.pool.sweep(self.now)
        for client in list(self._clients):
            client.sweep(self.now)
        self._sweeper = self.loop.call_later(1, self._sweep)


def _raise_file_limit() -> int:
    """Files this process may open: as many as it is allowed to allow itself, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _FILES
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
