"""A router with a stub lifecycle, models that follow a script, and clients that send raw bytes."""

import asyncio
import base64
import contextlib
import json
import tempfile
from pathlib import Path

from llmdecl.router.config import EndpointConfig, ModelConfig, RouterConfig
from llmdecl.router.ports import Lease, Refused
from llmdecl.router.server import Server

CHAT = "/v1/chat/completions"


def model(name="m", **changes) -> ModelConfig:
    base = ModelConfig(
        name=name,
        aliases=(),
        task="chat",
        program=f"model-{name}",
        socket=f"{name}.sock",
        digest="0",
        slots=4,
        n_ctx=4096,
        ttl_s=None,
        load="demand",
        start_timeout_s=5,
        claims=(),
        defaults={},
    )
    return base.replace(**changes)


def endpoint(name="main", models=("m",), **changes) -> EndpointConfig:
    base = EndpointConfig(
        name=name, host="127.0.0.1", port=0, apis=("openai", "llama.cpp"), models=tuple(models)
    )
    return base.replace(**changes)


def config(models=None, endpoints=None) -> RouterConfig:
    return RouterConfig(
        endpoints=tuple(endpoints or [endpoint()]),
        models=tuple(models or [model()]),
        pools=(),
        drain_timeout_s=5,
        queue_timeout_s=5,
        queue_size=8,
        min_residency_s=0,
    )


class StubLifecycle:
    """Every model is ready, unless `gate` is there to wait for or `refusal` to raise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.generation = 1
        self.gate: asyncio.Event | None = None
        self.refusal: Refused | None = None
        self.waiting = 0
        self.cancelled = 0
        self.held: list[Lease] = []
        self.released: list[tuple[str, bool]] = []
        self.on_acquire = lambda: None

    def try_acquire(self, name):
        if self.gate is not None or self.refusal is not None:
            return None
        lease = Lease(name, str(self.folder / f"{name}.sock"), self.generation)
        self.held.append(lease)
        return lease

    async def acquire(self, name):
        self.on_acquire()
        if self.refusal is not None:
            raise self.refusal
        if self.gate is not None:
            self.waiting += 1
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self.waiting -= 1
            self.gate = None
        lease = self.try_acquire(name)
        assert lease is not None
        return lease

    def release(self, lease, *, abandoned=False):
        self.held.remove(lease)
        self.released.append((lease.model, abandoned))

    def states(self):
        return {"m": "ready"}


class Asked:
    """A request as a scripted model saw it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head, self.body = head, body
        first, *lines = head.decode("latin-1").split("\r\n")
        self.line = first
        self.headers = [tuple(line.split(": ", 1)) for line in lines if line]

    @property
    def names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers}


def whole(body=b'{"ok":true}', *, status=200, headers=b"") -> bytes:
    return (
        b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nServer: llama.cpp\r\n"
        b"Keep-Alive: timeout=5, max=100\r\n%bContent-Length: %d\r\n\r\n%b"
        % (status, headers, len(body), body)
    )


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Model:
    """A model's unix socket. `script(asked, writer)` answers; it may return `False` to hang up."""

    def __init__(self, path: Path, script=None) -> None:
        self.path = path
        self.script = script or self.echo
        self.asked: list[Asked] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path, limit=1 << 28)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def stop(self):
        """As a process that dies: nobody listens, connections are cut, the file stays."""
        await self.__aexit__()
        await asyncio.sleep(0.01)
        self.tasks.clear()

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ]
                body = await reader.readexactly(lengths[0]) if lengths else b""
                asked = Asked(head[:-4], body)
                self.asked.append(asked)
                if await self.script(asked, writer) is False:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    async def echo(self, asked, writer):
        body = json.dumps({"line": asked.line, "body": base64.b64encode(asked.body).decode()})
        writer.write(whole(body.encode()))
        await writer.drain()


class Answer:
    """One answer as a client saw it."""

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status, self.head, self.body = status, head, body

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


class Client:
    """A raw connection to the router."""

    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, bodyless=False) -> Answer:
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ")[1])
            lower = head.lower()
            if bodyless or status in {100, 204}:
                return Answer(status, head[:-4], b"")
            if b"transfer-encoding: chunked" in lower:
                return Answer(status, head[:-4], await self.chunks())
            if b"content-length: " not in lower:
                return Answer(status, head[:-4], await self.reader.read())
            at = lower.index(b"content-length: ") + 16
            length = int(lower[at : lower.index(b"\r", at)])
            return Answer(status, head[:-4], await self.reader.readexactly(length))

    async def chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self.reader.readline()).strip(), 16)
            body += await self.reader.readexactly(size)
            await self.reader.readline()
            if size == 0:
                return body

    async def rest(self) -> bytes:
        """All until the router hangs up."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
            return b""

    async def ask(self, *args, **kwargs) -> Answer:
        self.send(request(*args, **kwargs))
        return await self.answer(bodyless=args[:1] == ("HEAD",))

    def abort(self) -> None:
        self.writer.transport.abort()


def request(method="GET", path="/health", body=None, headers=()) -> bytes:
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def post(path=CHAT, headers=(), **body) -> bytes:
    return request("POST", path, body, headers)


class World:
    """A router, its stub lifecycle, and what was opened."""

    def __init__(self, folder: Path, server: Server, lifecycle: StubLifecycle) -> None:
        self.folder, self.server, self.lifecycle = folder, server, lifecycle
        self.clients: list[Client] = []

    def address(self, name="main") -> tuple[str, int]:
        return self.server.addresses()[name][0]

    async def client(self, name="main", *, limit=1 << 20) -> Client:
        opened = await asyncio.open_connection(*self.address(name), limit=limit)
        client = Client(*opened)
        self.clients.append(client)
        return client

    async def once(self, data: bytes) -> bytes:
        """Everything the router says to `data` until it hangs up."""
        client = await self.client()
        client.send(data)
        return await client.rest()


@contextlib.asynccontextmanager
async def router(cfg=None):
    """A running router in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="ll-", dir="/tmp") as name:
        folder = Path(name)
        lifecycle = StubLifecycle(folder)
        server = Server(cfg or config(), lifecycle)
        await server.start()
        world = World(folder, server, lifecycle)
        try:
            yield world
        finally:
            await server.close()
            for client in world.clients:
                client.writer.close()
            for client in world.clients:
                with contextlib.suppress(Exception):
                    await client.writer.wait_closed()
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def stack(script=None, cfg=None):
    """A router with a model `m` behind it."""
    async with router(cfg) as world, Model(world.folder / "m.sock", script) as behind:
        yield world, behind


async def until(condition, seconds=5.0):
    """Poll a condition, with a bound."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
