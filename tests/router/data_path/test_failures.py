"""Clients that leave, models that die, readers that are slow."""

import asyncio
import json

import pytest

from llmdecl.router.ports import Refused
from tests.router.data_path.harness import (
    CHAT,
    STREAM,
    Model,
    chunk,
    post,
    request,
    router,
    stack,
    until,
    whole,
)


async def endless(_asked, writer):
    writer.write(STREAM)
    for number in range(10**6):
        writer.write(chunk(b"data: %d\n\n" % number))
        await writer.drain()
        await asyncio.sleep(0.005)


async def never(_asked, _writer):
    await asyncio.sleep(60)


def test_client_leaves_a_stream(run):
    """The model's connection is closed at once and the lease given back, not as abandoned."""

    async def scenario():
        async with stack(endless) as (world, behind):
            client = await world.client()
            client.send(post(stream=True))
            await client.reader.readuntil(b"data: 1\n\n")
            client.abort()
            async with asyncio.timeout(1):
                await behind.left.wait()
            assert world.lifecycle.released == [("m", False)]
            assert world.server.metrics.of("m").codes == {499: 1}

    run(scenario())


def test_client_leaves_a_whole_answer(run):
    """Leaving a request that does not stream is told to the lifecycle as abandoned."""

    async def scenario():
        gone = asyncio.Event()

        async def script(_asked, writer):
            await writer._reader.read()
            gone.set()

        async with stack(script) as (world, behind):
            client = await world.client()
            client.send(post(model="m"))
            await until(lambda: behind.asked)
            client.writer.close()
            await until(lambda: world.lifecycle.released)
            assert world.lifecycle.released == [("m", True)]
            await gone.wait()

    run(scenario())


def test_client_leaves_the_queue(run):
    """A client that leaves while its model starts cancels the wait; the model hears nothing."""

    async def scenario():
        async with stack() as (world, behind):
            world.lifecycle.gate = asyncio.Event()
            client = await world.client()
            client.send(post())
            await until(lambda: world.lifecycle.waiting == 1)
            assert world.server.metrics.of("m").queued == 1
            client.abort()
            await until(lambda: world.lifecycle.cancelled == 1)
            assert world.server.metrics.of("m").queued == 0
            assert not behind.asked
            assert not world.lifecycle.released

    run(scenario())


def test_queued_request_is_served(run):
    """A request that waited for its model is served like any other."""

    async def scenario():
        async with stack() as (world, _):
            gate = world.lifecycle.gate = asyncio.Event()
            client = await world.client()
            client.send(post())
            await until(lambda: world.lifecycle.waiting == 1)
            gate.set()
            assert (await client.answer()).status == 200

    run(scenario())


@pytest.mark.parametrize("status", [429, 502, 503])
def test_refused_by_the_lifecycle(run, status):
    """Its status, `Retry-After` and log tail reach the client in OpenAI's shape; it may go on."""

    async def scenario():
        async with stack() as (world, _):
            world.lifecycle.refusal = Refused(
                status, "not now", retry_after_s=7, log_tail="error: no such file"
            )
            client = await world.client()
            answer = await client.ask("POST", CHAT, {})
            assert answer.status == status
            assert answer.header("retry-after") == "7"
            assert answer.json["error"]["message"] == "not now"
            assert answer.json["error"]["log_tail"] == "error: no such file"
            world.lifecycle.refusal = None
            assert (await client.ask("POST", CHAT, {})).status == 200

    run(scenario())


def test_fault_of_the_lifecycle(run, caplog):
    """A fault of ours is a 500 for this client and a trace in the log, and nothing more."""

    async def scenario():
        async with stack() as (world, _):
            world.lifecycle.refusal = ZeroDivisionError("oops")
            client = await world.client()
            assert (await client.ask("POST", CHAT, {})).status == 500
            assert "oops" in caplog.text
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario())


def test_model_dies_before_its_answer(run):
    """No byte of an answer on a fresh connection: 502, no second try."""

    async def script(_asked, _writer):
        return False

    async def scenario():
        async with stack(script) as (world, behind):
            client = await world.client()
            answer = await client.ask("POST", CHAT, {})
            assert answer.status == 502
            assert answer.json["error"]["code"] == "upstream_died"
            assert len(behind.asked) == 1
            assert world.lifecycle.released == [("m", False)]
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario())


def test_model_dies_in_its_head(run):
    """Half a head is none: 502."""

    async def script(_asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        await writer.drain()
        return False

    async def scenario():
        async with stack(script) as (world, _):
            assert (await (await world.client()).ask("POST", CHAT, {})).status == 502

    run(scenario())


def test_model_dies_between_chunks(run):
    """A stream that can't go on says so in an event, and is cut without its last chunk."""

    async def script(_asked, writer):
        writer.write(STREAM + chunk(b"data: 1\n\n"))
        await writer.drain()
        return False

    async def scenario():
        async with stack(script) as (world, _):
            said = await world.once(post(stream=True))
            body = said.split(b"\r\n\r\n", 1)[1]
            assert body.startswith(chunk(b"data: 1\n\n"))
            event = body[len(chunk(b"data: 1\n\n")) :].split(b"\r\n")[1]
            error = json.loads(event.removeprefix(b"data: "))["error"]
            assert error["code"] == "upstream_died"
            assert not said.endswith(b"0\r\n\r\n")
            assert world.server.metrics.of("m").codes == {502: 1}

    run(scenario())


@pytest.mark.parametrize("cut", [b"9\r\ndata", b"9", b"9\r\ndata: 1\n\n", b"9\r\ndata: 1\n\n\r"])
def test_model_dies_inside_a_chunk(run, cut):
    """Nothing can be added inside a chunk: the connection ends where the model's did."""

    async def script(_asked, writer):
        writer.write(STREAM + cut)
        await writer.drain()
        return False

    async def scenario():
        async with stack(script) as (world, _):
            said = await world.once(post(stream=True))
            assert said.split(b"\r\n\r\n", 1)[1] == cut

    run(scenario())


def test_model_dies_inside_a_length(run):
    """A body shorter than announced ends the client's connection."""

    async def script(_asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        return False

    async def scenario():
        async with stack(script) as (world, _):
            assert (await world.once(post())).endswith(b"\r\n\r\nhalf")

    run(scenario())


def test_model_says_too_much(run):
    """A second answer behind the first is never passed on as if it were the next one's."""

    async def script(_asked, writer):
        writer.write(whole() + whole(b"evil"))

    async def scenario():
        async with stack(script) as (world, _):
            client = await world.client()
            assert (await client.ask("POST", CHAT, {})).status == 502
            assert (await client.ask("GET", "/health")).body == b'{"status":"ok"}'

    run(scenario())


@pytest.mark.parametrize(
    "junk",
    [
        b"not http\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_model_talks_nonsense(run, junk):
    """What is no answer becomes a 502."""

    async def script(_asked, writer):
        writer.write(junk)
        await writer.drain()
        await asyncio.sleep(0.05)
        return False

    async def scenario():
        async with stack(script) as (world, _):
            assert (await (await world.client()).ask("POST", CHAT, {})).status == 502

    run(scenario())


def test_idle_connection_gone_stale(run):
    """A pooled connection that the model closes is not used; one it closes just then is retried."""

    async def scenario():
        async def script(asked, writer):
            if b"second" in asked.body and len(behind.asked) == 2:
                return False  # as if it had timed out while the request was on its way
            writer.write(whole(asked.body))
            return None

        async with stack(script) as (world, behind):
            client = await world.client()
            assert (await client.ask("POST", CHAT, {"n": "first"})).status == 200
            assert (await client.ask("POST", CHAT, {"n": "second"})).json == {"n": "second"}
            assert behind.connections == 2
            assert world.server.metrics.of("m").retries == 1
            assert world.lifecycle.released == [("m", False)] * 2

    run(scenario())


def test_retried_once_only(run):
    """If the fresh connection ends without an answer as well, it is a 502."""

    async def scenario():
        async def script(_asked, writer):
            if len(behind.asked) > 1:
                return False
            writer.write(whole())
            return None

        async with stack(script) as (world, behind):
            client = await world.client()
            assert (await client.ask("POST", CHAT, {})).status == 200
            assert (await client.ask("POST", CHAT, {})).status == 502
            assert len(behind.asked) == 3

    run(scenario())


def test_no_retry_after_a_byte(run):
    """A request that has been answered in part is never sent again."""

    async def scenario():
        async def script(_asked, writer):
            if len(behind.asked) > 1:
                writer.write(b"HTTP/1.1 2")
                await writer.drain()
                return False
            writer.write(whole())
            return None

        async with stack(script) as (world, behind):
            client = await world.client()
            assert (await client.ask("POST", CHAT, {})).status == 200
            assert (await client.ask("POST", CHAT, {})).status == 502
            assert len(behind.asked) == 2

    run(scenario())


def test_new_generation_gets_new_connections(run):
    """A connection to a process that has been replaced is never used again."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            await client.ask("POST", CHAT, {})
            world.lifecycle.generation = 2
            await client.ask("POST", CHAT, {})
            assert behind.connections == 2

    run(scenario())


def test_close_upstreams(run):
    """The lifecycle can have idle connections closed before it stops a model."""

    async def scenario():
        async with stack() as (world, behind):
            await (await world.client()).ask("POST", CHAT, {})
            world.server.close_upstreams("m")
            async with asyncio.timeout(1):
                await behind.left.wait()

    run(scenario())


def test_dead_process_is_found_again(run):
    """A model that died unseen: the lease is given back, and the next one reaches its successor."""

    async def scenario():
        async with router() as world:
            path = world.folder / "m.sock"
            first = Model(path)
            await first.__aenter__()
            client = await world.client()
            assert (await client.ask("POST", CHAT, {})).status == 200
            await first.stop()
            client.send(post())
            await until(lambda: world.server.metrics.of("m").retries > 0)
            path.unlink(missing_ok=True)
            async with Model(path):
                assert (await client.answer()).status == 200
                assert not world.lifecycle.held

    run(scenario())


def test_nobody_listens(run):
    """A socket that nobody serves is a 502 in the end."""

    async def scenario():
        async with router() as world:
            answer = await (await world.client()).ask("POST", CHAT, {})
            assert answer.status == 502
            assert "can't be reached" in answer.json["error"]["message"]
            assert not world.lifecycle.held

    run(scenario())


def test_slow_reader_bounds_memory(run):
    """Of 200 MB for a client that reads nothing, the router holds less than a few MB."""
    size = 200 << 20

    async def scenario():
        sent = 0

        async def script(_asked, writer):
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            block = b"x" * 65536
            while sent < size:
                writer.write(block)
                await writer.drain()
                sent += len(block)

        async with stack(script) as (world, _):
            client = await world.client(limit=65536)
            client.send(post())
            await client.reader.readuntil(b"\r\n\r\n")
            before = -1
            while before != sent:  # until the model can send no more
                before = sent
                await asyncio.sleep(0.1)
            connection = next(iter(world.server._clients))
            assert connection.write_paused
            assert connection._transport.get_write_buffer_size() < 4 << 20
            assert sent < 32 << 20  # kernel buffers of both sockets included
            left = size
            while left:
                left -= len(await client.reader.read(1 << 20))
            await until(lambda: world.lifecycle.released)
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario(), 60)


def test_slow_reader_leaves(run):
    """A client that stopped reading and then leaves frees its model."""

    async def script(_asked, writer):
        writer.write(STREAM)
        while True:
            writer.write(chunk(b"x" * 65536))
            await writer.drain()

    async def scenario():
        async with stack(script) as (world, behind):
            client = await world.client(limit=65536)
            client.send(post(stream=True))
            await client.reader.readuntil(b"\r\n\r\n")
            connection = next(iter(world.server._clients))
            await until(lambda: connection.write_paused)
            client.abort()
            async with asyncio.timeout(2):
                await behind.left.wait()
            assert world.lifecycle.released == [("m", False)]

    run(scenario())


def test_unfinished_requests_time_out(run):
    """Half a head after 30 s and half a body after 60 s are 408; an idle connection just ends."""

    async def scenario():
        async with stack() as (world, _):
            head, body, idle = [await world.client() for _ in range(3)]
            head.send(b"GET / HTTP/1.1\r\nHost: a")
            body.send(request("POST", CHAT, b"{}")[:-1])
            await idle.ask("GET", "/health")
            await until(lambda: world.server.connections == 3)
            await asyncio.sleep(0.05)
            world.server.now += 200
            world.server._sweep()
            assert (await head.answer()).status == 408
            assert (await body.answer()).status == 408
            assert await idle.rest() == b""

    run(scenario())


def test_a_long_answer_never_times_out(run):
    """Neither a model that thinks nor one that streams for long is cut by the sweep."""

    async def scenario():
        async with stack(never) as (world, behind):
            client = await world.client()
            client.send(post())
            await until(lambda: behind.asked)
            for _ in range(10):
                world.server.now += 1000
                world.server._sweep()
            assert world.lifecycle.held

    run(scenario())


def test_too_many_connections(run):
    """Above the bound a client gets 503; below it again it is served."""

    async def scenario():
        async with stack() as (world, _):
            world.server._most_clients = 2
            first = await world.client()
            await first.ask("GET", "/health")
            second = await world.client()
            await second.ask("GET", "/health")
            third = await world.client()
            assert (await third.answer()).status == 503
            first.writer.close()
            await until(lambda: world.server.connections == 1)
            fourth = await world.client()
            assert (await fourth.ask("GET", "/health")).status == 200

    run(scenario())
