"""Connections, bodies and answers that are in order."""

import asyncio
import base64

from tests.router.data_path.harness import (
    CHAT,
    STREAM,
    chunk,
    post,
    request,
    stack,
    until,
    whole,
)


def test_keep_alive_reuses_both_sides(run):
    """Ten requests on one client connection use one upstream connection."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for number in range(10):
                answer = await client.ask("POST", CHAT, {"model": "m", "n": number})
                assert answer.status == 200
                assert answer.header("keep-alive") is None
                assert answer.header("connection") is None
            assert behind.connections == 1
            assert world.lifecycle.released == [("m", False)] * 10
            assert world.server.in_flight("m") == 0

    run(scenario())


def test_pipelining(run):
    """Requests sent at once are answered in order, local and proxied ones mixed."""

    async def slow(asked, writer):
        await asyncio.sleep(0.02)
        writer.write(whole(asked.body))

    async def scenario():
        async with stack(slow) as (world, _):
            client = await world.client()
            client.send(post(n=1) + request(path="/health") + post(n=2) + request(path="/nothing"))
            client.send(post(n=3))
            answers = [await client.answer() for _ in range(5)]
            assert [a.status for a in answers] == [200, 200, 200, 404, 200]
            assert [a.json.get("n") for a in answers] == [1, None, 2, None, 3]

    run(scenario())


def test_pipelined_flood_is_not_read(run):
    """Behind a request in progress only a little is read ahead, and all of it is answered."""
    gate = asyncio.Event

    async def scenario():
        opened = gate()

        async def script(_asked, writer):
            await opened.wait()
            writer.write(whole())

        async with stack(script) as (world, _):
            client = await world.client()
            client.send(post())
            count = 20_000
            client.send(request(path="/health") * count)
            await until(lambda: world.lifecycle.held)
            await asyncio.sleep(0.05)
            connection = next(iter(world.server._clients))
            assert connection._pending_bytes < 1 << 19
            opened.set()
            for _ in range(count + 1):
                assert (await client.answer()).status == 200

    run(scenario())


def test_request_in_single_bytes(run):
    """The pieces a request comes in make no difference."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for byte in post(model="m", text="hé"):
                client.send(bytes([byte]))
                await client.writer.drain()
            assert (await client.answer()).status == 200
            assert behind.asked[0].body == post(model="m", text="hé").split(b"\r\n\r\n", 1)[1]

    run(scenario())


def test_chunked_request_body(run):
    """A chunked body reaches the model whole, with a length; trailers are dropped."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            client.send(
                b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b'8\r\n{"model"\r\n5;ext=1\r\n:"m"}\r\n0\r\nHost: b\r\nX-Api-Key: c\r\n\r\n'
            )
            assert (await client.answer()).status == 200
            assert behind.asked[0].body == b'{"model":"m"}'
            assert ("Content-Length", "13") in behind.asked[0].headers
            assert not behind.asked[0].names & {"transfer-encoding", "x-api-key"}
            assert (await client.ask("GET", "/health")).status == 200

    run(scenario())


def test_expect_continue(run):
    """A client that waits for 100 gets it, and the model hears nothing of it."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            body = b'{"model":"m"}'
            ask = request("POST", CHAT, body, ["Expect: 100-continue"])
            client.send(ask[: -len(body)])
            assert (await client.answer()).status == 100
            client.send(body)
            assert (await client.answer()).status == 200
            assert "expect" not in behind.asked[0].names

    run(scenario())


def test_expect_continue_refused(run):
    """No 100 for what will be refused: the refusal at once."""

    async def scenario():
        async with stack() as (world, _):
            ask = request("POST", "/nothing", b"12345", ["Expect: 100-continue"])
            said = await world.once(ask[:-5])
            assert said.startswith(b"HTTP/1.1 404 ")

    run(scenario())


def test_head_requests(run):
    """HEAD is GET without the body, here and at the model, and the connection lives on."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for path in ("/health", "/v1/models", "/props", "/", "/metrics"):
                answer = await client.ask("HEAD", path)
                assert answer.status == 200, path
                assert int(answer.header("content-length") or 0) > 0
            assert (await client.ask("GET", "/health")).body == b'{"status":"ok"}'
            assert behind.asked[0].line == "GET /props HTTP/1.1"

    run(scenario())


def test_http_1_0_client(run):
    """A client of HTTP/1.0 gets a stream without chunks, ended by closing."""

    async def script(_asked, writer):
        writer.write(STREAM + chunk(b"data: 1\n\n"))
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(chunk(b"data: 2\n\n") + b"0\r\n\r\n")

    async def scenario():
        async with stack(script) as (world, _):
            said = await world.once(
                b"POST /v1/completions HTTP/1.0\r\nContent-Length: 15\r\n\r\n" + b'{"stream":true}'
            )
            top, _, body = said.partition(b"\r\n\r\n")
            assert body == b"data: 1\n\ndata: 2\n\n"
            assert b"chunked" not in top.lower()
            assert b"Connection: close" in top

    run(scenario())


def test_client_asks_to_close(run):
    """`Connection: close` is said and done."""

    async def scenario():
        async with stack() as (world, _):
            said = await world.once(post(headers=["Connection: close"]))
            assert said.startswith(b"HTTP/1.1 200 ")
            assert b"\r\nConnection: close\r\n" in said

    run(scenario())


def test_what_the_model_sees(run):
    """No credential, no hop-by-hop header, nothing that `Connection` names; the rest as sent."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            headers = [
                "Authorization: Bearer secret",
                "x-api-key: secret",
                "Api-Key: secret",
                "Cookie: secret",
                "Proxy-Authorization: secret",
                "Connection: keep-alive, X-Private",
                "X-Private: secret",
                "TE: trailers",
                "Origin: http://localhost:3000",
                "Content-Type: application/json",
                "X-Request-Id: 77",
                "traceparent: 00-ab",
            ]
            answer = await client.ask("POST", CHAT + "?a=b", {"model": "m"}, headers)
            assert answer.header("access-control-allow-origin") == "http://localhost:3000"
            asked = behind.asked[0]
            assert asked.line == f"POST {CHAT}?a=b HTTP/1.1"
            assert b"secret" not in asked.head
            assert asked.headers == [
                ("Host", "model"),
                ("Content-Type", "application/json"),
                ("X-Request-Id", "77"),
                ("traceparent", "00-ab"),
                ("Content-Length", "14"),
            ]

    run(scenario())


def test_answers_pass_unchanged(run):
    """Status, headers and bytes of an answer are the model's, but for hop-by-hop and CORS ones."""

    async def script(_asked, writer):
        writer.write(
            b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n"
            b"Access-Control-Allow-Origin: https://evil\r\nContent-Length: 3\r\nX-B:2\r\n\r\n"
            b"\x00\xff\r"
        )

    async def scenario():
        async with stack(script) as (world, _):
            answer = await (await world.client()).ask("POST", CHAT, {})
            assert answer.head == b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nContent-Length: 3\r\nX-B:2"
            assert answer.body == b"\x00\xff\r"

    run(scenario())


def test_answer_until_close(run):
    """An answer that only ends with its connection is passed on and ends the client's, too."""

    async def script(_asked, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello ")
        await writer.drain()
        writer.write(b"world")
        await writer.drain()
        return False

    async def scenario():
        async with stack(script) as (world, _):
            said = await world.once(post())
            assert said.endswith(b"\r\n\r\nhello world")
            assert b"Connection: close" in said
            assert world.lifecycle.released == [("m", False)]

    run(scenario())


def test_answer_in_single_bytes(run):
    """The pieces an answer comes in make no difference."""

    async def script(_asked, writer):
        for byte in STREAM + chunk(b"data: 1\n\n") + b"0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async def scenario():
        async with stack(script) as (world, behind):
            client = await world.client()
            for _ in range(2):
                assert (await client.ask("POST", CHAT, {"stream": True})).body == b"data: 1\n\n"
            assert behind.connections == 1

    run(scenario())


def test_chunks_arrive_at_once(run):
    """A chunk is at the client before the model says the next."""

    async def scenario():
        steps = [asyncio.Event() for _ in range(3)]

        async def script(_asked, writer):
            writer.write(STREAM)
            for number, step in enumerate(steps):
                writer.write(chunk(b"data: %d\n\n" % number))
                await step.wait()
            writer.write(b"0\r\n\r\n")

        async with stack(script) as (world, _):
            client = await world.client()
            client.send(post(stream=True))
            async with asyncio.timeout(5):
                await client.reader.readuntil(b"\r\n\r\n")
                for number, step in enumerate(steps):
                    await client.reader.readuntil(b"data: %d\n\n\r\n" % number)
                    step.set()
                await client.reader.readuntil(b"0\r\n\r\n")

    run(scenario())


def test_large_request_body(run):
    """Eight MiB arrive byte for byte, `model` behind them."""

    async def scenario():
        async with stack() as (world, behind):
            body = b'{"messages":[{"role":"user","content":"%b"}],"model":"m"}' % (b"x" * (8 << 20))
            assert (await (await world.client()).ask("POST", CHAT, body)).status == 200
            assert behind.asked[0].body == body
            assert world.server.buffered == 0

    run(scenario())


def test_echoed_body(run):
    """What nobody has to add to stays as it was, strange spacing included."""

    async def scenario():
        async with stack() as (world, _):
            body = b' {\r\n"model" : "m",\t"a":1.0e2, "b" : "\\u00e9\xc3\xa9" } '
            answer = await (await world.client()).ask("POST", CHAT, body)
            assert base64.b64decode(answer.json["body"]) == body

    run(scenario())
