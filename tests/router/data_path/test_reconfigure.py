"""A new configuration drops no connection; a drain finishes what has begun."""

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from tests.router.data_path.harness import (
    CHAT,
    STREAM,
    Client,
    chunk,
    config,
    endpoint,
    model,
    post,
    request,
    router,
    stack,
    until,
)


class Steps:
    """A stream that goes on when told."""

    def __init__(self) -> None:
        self.go = asyncio.Semaphore(0)
        self.end = False

    async def __call__(self, _asked, writer):
        writer.write(STREAM + chunk(b"data: first\n\n"))
        while not self.end:
            await writer.drain()
            await self.go.acquire()
            writer.write(chunk(b"data: more\n\n"))
        writer.write(b"0\r\n\r\n")

    def finish(self) -> None:
        self.end = True
        self.go.release()


def test_stream_survives(run):
    """An open stream goes on; the same connection's next request uses the new configuration."""

    async def scenario():
        steps = Steps()
        async with stack(steps) as (world, behind):
            client = await world.client()
            client.send(post(stream=True))
            await client.reader.readuntil(b"data: first\n\n\r\n")
            where = world.address()
            changed = config([model(aliases=("new",), defaults={"top_k": 1})])
            await world.server.reconfigure(changed)
            assert world.address() == where
            steps.finish()
            await client.reader.readuntil(b"0\r\n\r\n")
            assert (await client.ask("GET", "/v1/models/new")).json["id"] == "m"
            await client.ask("POST", CHAT, {"model": "new"})
            assert b'"top_k":1' in behind.asked[1].body

    run(scenario())


def test_endpoints_come_and_go(run):
    """A new one opens, a gone one refuses; what runs on the gone one ends, then its connection."""

    async def scenario():
        steps = Steps()
        async with stack(steps) as (world, _):
            busy, idle = await world.client(), await world.client()
            await idle.ask("GET", "/health")
            busy.send(post(stream=True))
            await busy.reader.readuntil(b"data: first\n\n\r\n")
            old = world.address()
            await world.server.reconfigure(config(endpoints=[endpoint("second", host="127.0.0.2")]))
            fresh = await world.client("second")
            assert (await fresh.ask("GET", "/health")).status == 200
            assert await idle.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*old)
            steps.finish()
            assert (await busy.rest()).endswith(b"0\r\n\r\n")

    run(scenario())


def test_all_or_nothing(run):
    """An address that is taken changes nothing, and says which it was."""

    async def scenario():
        async with stack() as (world, _):
            taken = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
            port = taken.sockets[0].getsockname()[1]
            before = world.server.config
            where = world.address()
            wanted = config(
                [model(aliases=("new",))],
                [
                    endpoint("fine", host="127.0.0.2"),
                    endpoint("bad", host="127.0.0.1", port=port),
                ],
            )
            with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
                await world.server.reconfigure(wanted)
            assert world.server.config is before
            assert world.address() == where
            assert list(world.server.addresses()) == ["main"]
            client = await world.client()
            assert (await client.ask("GET", "/v1/models/new")).status == 404
            taken.close()
            await taken.wait_closed()

    run(scenario())


def test_address_that_overlaps(run):
    """From one address of a port to all of them: the old listener makes room."""

    async def scenario():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        cfg = config(endpoints=[endpoint(port=port)])
        async with stack(cfg=cfg) as (world, _):
            kept = await world.client()
            await kept.ask("GET", "/health")
            impossible = [endpoint(host="0.0.0.0", port=port), endpoint("x", host="192.0.2.1")]
            with pytest.raises(OSError, match=r"192\.0\.2\.1"):
                await world.server.reconfigure(config(endpoints=impossible))
            assert (await (await world.client()).ask("GET", "/health")).status == 200
            await world.server.reconfigure(config(endpoints=[endpoint(host="0.0.0.0", port=port)]))
            client = await world.client()
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario())


def test_key_file_is_read_again(run, tmp_path):
    """Keys change with a reload; a file that is missing changes nothing and is named."""

    async def scenario():
        file = tmp_path / "keys"
        file.write_text("one\n")
        cfg = config(endpoints=[endpoint(api_keys_file=str(file))])
        async with stack(cfg=cfg) as (world, _):
            client = await world.client()

            async def status(key):
                return (await client.ask("GET", "/v1/models", None, [f"X-Api-Key: {key}"])).status

            assert [await status("one"), await status("two")] == [200, 401]
            file.write_text("two\n")
            assert await status("one") == 200
            await world.server.reconfigure(cfg)
            assert [await status("one"), await status("two")] == [401, 200]
            file.unlink()
            with pytest.raises(OSError, match="keys"):
                await world.server.reconfigure(cfg)
            assert await status("two") == 200
            file.write_text("# none\n")
            await world.server.reconfigure(cfg)
            assert [await status("two"), await status("")] == [401, 401]

    run(scenario())


async def at(path) -> Client:
    return Client(*await asyncio.open_unix_connection(path))


def test_unix_endpoint(run, short_tmp):
    """A unix socket has mode 0600, replaces a stale one, and goes with its endpoint."""

    async def scenario():
        path = short_tmp / "r.sock"
        cfg = config(endpoints=[endpoint(host=None, port=None, path=str(path))])
        async with router(cfg) as world:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            client = await at(path)
            assert (await client.ask("GET", "/health")).status == 200
            client.writer.close()
            await world.server.reconfigure(config())
            assert not path.exists()

    run(scenario())


def test_stale_unix_socket(run, short_tmp):
    """A socket file that nobody serves is replaced; a living one, and a plain file, are errors."""
    path = short_tmp / "r.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    cfg = config(endpoints=[endpoint(host=None, port=None, path=str(path))])

    async def scenario():
        async with router(cfg):
            client = await at(path)
            assert (await client.ask("GET", "/health")).status == 200
            client.writer.close()
            with pytest.raises(OSError, match="another process listens"):
                async with router(cfg):
                    pass
            client = await at(path)
            assert (await client.ask("GET", "/health")).status == 200
            client.writer.close()
        Path(path).write_text("not a socket")
        with pytest.raises(OSError, match="something else"):
            async with router(cfg):
                pass
        assert Path(path).read_text() == "not a socket"

    run(scenario())


def test_ipv6(run):
    """An IPv6 address is listened on, and shown in brackets when it can't be."""

    async def scenario():
        async with router(config(endpoints=[endpoint(host="::1")])) as world:
            client = await world.client()
            assert (await client.ask("GET", "/health")).status == 200
            port = world.address()[1]
            taken = config(endpoints=[endpoint(host="::1", port=port)])
            with pytest.raises(OSError, match=rf"\[::1\]:{port}"):
                async with router(taken):
                    pass

    try:
        run(scenario())
    except OSError as error:
        if "::1" in str(error):
            pytest.skip("no IPv6 here")
        raise


def test_drain(run):
    """What has begun is finished, the next request on the connection is refused and closed."""

    async def scenario():
        steps = Steps()
        async with stack(steps) as (world, _):
            busy, idle = await world.client(), await world.client()
            await idle.ask("GET", "/health")
            busy.send(post(stream=True))
            await busy.reader.readuntil(b"data: first\n\n\r\n")
            where = world.address()
            drained = asyncio.create_task(world.server.drain(5))
            assert await idle.rest() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*where)
            assert not drained.done()
            steps.finish()
            assert (await busy.rest()).endswith(b"0\r\n\r\n")
            assert await drained

    run(scenario())


def test_drain_refuses_what_is_pipelined(run):
    """A request behind the one in progress gets 503 and `Retry-After`."""

    async def scenario():
        steps = Steps()
        async with stack(steps) as (world, _):
            client = await world.client()
            body = post(stream=True)
            half = request("POST", CHAT, b"{}")
            client.send(half[:-1])
            await until(lambda: any(c.busy for c in world.server._clients))
            drained = asyncio.create_task(world.server.drain(5))
            await asyncio.sleep(0)
            client.send(half[-1:] + body)
            await client.reader.readuntil(b"data: first\n\n\r\n")
            steps.finish()
            assert (await client.rest()).endswith(b"0\r\n\r\n")
            assert await drained

    run(scenario())


def test_drain_times_out(run):
    """What does not end in time is reported, and `close` ends it."""

    async def scenario():
        steps = Steps()
        async with stack(steps) as (world, behind):
            client = await world.client()
            client.send(post(stream=True))
            await client.reader.readuntil(b"data: first\n\n\r\n")
            assert not await world.server.drain(0.05)
            await world.server.close()
            assert world.lifecycle.released == [("m", False)]
            async with asyncio.timeout(1):
                await until(lambda: behind.left.is_set() or steps.go.release() is None)

    run(scenario())
