"""A head that came before on its connection is recognised, and means what it meant."""

import asyncio

import pytest

from tests.router.data_path.harness import CHAT, Model, config, endpoint, request, router, stack
from tests.router.data_path.test_smuggling import BAD, SMUGGLED

FRONT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: "
BACK = b"\r\nAccept: */*\r\n\r\n"
GOOD = b'{"model":"m"}'


def again(body: bytes = GOOD) -> bytes:
    return FRONT + b"%d" % len(body) + BACK + body


def test_lengths_differ(run):
    """Each request has its own body, in one piece, in many, or pipelined behind another."""
    bodies = [b'{"model":"m","n":%b}' % (b"1" * n) for n in (1, 5, 1, 300, 70_000, 2)]

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for body in bodies:
                client.send(again(body))
                assert (await client.answer()).status == 200
            for body in bodies[:3]:
                for at in range(0, len(again(body)), 7):
                    client.send(again(body)[at : at + 7])
                    await client.writer.drain()
                assert (await client.answer()).status == 200
            for body in bodies:
                head, rest = again(body)[: -len(body)], body
                client.send(head + rest[:3])
                await client.writer.drain()
                client.send(rest[3:] + again(bodies[0]))
                assert (await client.answer()).status == 200
                assert (await client.answer()).status == 200
            client.send(b"".join(map(again, bodies)))
            for _ in bodies:
                assert (await client.answer()).status == 200
            seen = [asked.body for asked in behind.asked]
            pairs = [body for each in bodies for body in (each, bodies[0])]
            assert seen == bodies + bodies[:3] + pairs + bodies
            lines = {frozenset(asked.names) for asked in behind.asked}
            assert lines == {frozenset({"host", "x-one", "accept", "content-length"})}

    run(scenario())


@pytest.mark.parametrize("name", BAD)
def test_bad_behind_known(run, name):
    """What is refused at first is refused behind a head that is known."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for _ in range(2):
                client.send(again())
                assert (await client.answer()).status == 200
            client.send(BAD[name] + SMUGGLED)
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 400 "), said
            assert said.count(b"HTTP/1.1 ") == 1
            assert len(behind.asked) == 2

    run(scenario())


LENGTHS = (b"+13", b"-13", b"13, 13", b"0xd", b"1_3", b"", b" ", b"13\r", b"13\n", b"13\x00")
LENGTHS += (b"13\r\nContent-Length: 13", b"13\r\nTransfer-Encoding: chunked", b"13\r\n Z: 1")


@pytest.mark.parametrize("length", LENGTHS)
def test_bad_length_in_known(run, length):
    """A known head with another length that is no number is no known head."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            for _ in range(2):
                client.send(again())
                assert (await client.answer()).status == 200
            client.send(FRONT + length + BACK + GOOD + SMUGGLED)
            said = await client.rest()
            assert said.startswith(b"HTTP/1.1 400 "), said
            assert said.count(b"HTTP/1.1 ") == 1
            assert len(behind.asked) == 2

    run(scenario())


def test_too_large(run):
    """The bound on bodies holds for a known head."""

    async def scenario():
        async with stack() as (world, _):
            client = await world.client()
            client.send(again())
            assert (await client.answer()).status == 200
            client.send(FRONT + b"999999999" + BACK)
            assert (await client.answer()).status == 413

    run(scenario())


def test_keys_are_asked_anew(run, tmp_path):
    """After a change of keys, a head that was admitted is not."""
    keys = tmp_path / "keys"

    def keyed():
        return config(endpoints=[endpoint(api_keys_file=str(keys))])

    async def scenario():
        keys.write_text("one\n")
        async with router(keyed()) as world, Model(world.folder / "m.sock"):
            client = await world.client()
            asked = request("POST", CHAT, {"model": "m"}, ["Authorization: Bearer one"])
            for _ in range(2):
                client.send(asked)
                assert (await client.answer()).status == 200
            keys.write_text("two\n")
            await world.server.reconfigure(keyed())
            for _ in range(2):
                client.send(asked)
                assert (await client.answer()).status == 401

    run(scenario())


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nKeep-Alive: timeout=5\r\nServer: x\r\n\r\n"


def test_answers_lengths_differ(run):
    """Answers under a head that repeats are passed on whole, in one piece or in many."""
    bodies = [b"a" * n for n in (1, 10, 10, 0, 1, 200_000, 3, 65_536, 7)]

    async def scenario():
        left = iter(bodies * 2)

        async def script(_asked, writer):
            body = next(left)
            data = ANSWER % len(body) + body
            step = max(len(data) // 9, 16) if len(answers) >= len(bodies) else len(data)
            for at in range(0, len(data), step):
                writer.write(data[at : at + step])
                await writer.drain()
                await asyncio.sleep(0)

        answers = []
        async with stack(script) as (world, behind):
            client = await world.client(limit=1 << 20)
            for _ in range(2 * len(bodies)):
                client.send(again())
                answers.append(await client.answer())
            assert [answer.body for answer in answers] == bodies * 2
            assert {answer.header("Keep-Alive") for answer in answers} == {None}
            assert {answer.header("Server") for answer in answers} == {"x"}
            assert behind.connections == 1
            assert world.server.metrics.of("m").codes == {200: len(answers)}

    run(scenario())


@pytest.mark.parametrize("pause", [False, True])
def test_too_much_under_a_known_head(run, pause):
    """What a model sends beyond its answer reaches nobody, and its connection is not used again."""

    async def scenario():
        wrong = []

        async def script(_asked, writer):
            if not wrong:
                writer.write(ANSWER % 4 + b"good")
                return
            sent = ANSWER % 4 + b"go"
            if pause:
                writer.write(sent)
                await wrong[0].wait()
                sent = b""
            writer.write(sent + b"odHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")

        async with stack(script) as (world, behind):
            client = await world.client()
            for _ in range(2):
                client.send(again())
                assert (await client.answer()).body == b"good"
            assert behind.connections == 1
            gate = asyncio.Event()
            wrong.append(gate)
            client.send(again())
            if pause:
                await client.reader.readuntil(b"go")
                gate.set()
                assert b"bad" not in await client.rest()
            else:
                assert (await client.answer()).status == 502
            assert not world.lifecycle.held
            wrong.clear()
            other = await world.client()
            other.send(again())
            assert (await other.answer()).body == b"good"
            assert behind.connections == 2

    run(scenario())


def test_death_under_a_known_head(run):
    """A model that dies in the middle of such an answer: the client sees that it is not whole."""

    async def scenario():
        async def script(_asked, writer):
            if behind.connections and len(behind.asked) < 3:
                writer.write(ANSWER % 4 + b"good")
                return True
            writer.write(ANSWER % 4 + b"go")
            await writer.drain()
            return False

        async with stack(script) as (world, behind):
            client = await world.client()
            for _ in range(2):
                client.send(again())
                assert (await client.answer()).body == b"good"
            client.send(again())
            said = await client.rest()
            assert said.endswith(b"\r\n\r\ngo")
            assert world.server.metrics.of("m").codes == {200: 2, 502: 1}

    run(scenario())


def test_head_and_old_clients_under_a_known_head(run):
    """HEAD gets no body, HTTP/1.0 a closed connection, a browser its header."""

    async def scenario():
        async def script(_asked, writer):
            writer.write(ANSWER % 4 + b"good")

        async with stack(script) as (world, behind):
            client = await world.client()
            for _ in range(2):
                assert (await client.ask("GET", "/props")).body == b"good"
            assert (await client.ask("HEAD", "/props")).header("Content-Length") == "4"
            shown = await client.ask("GET", "/props", headers=["Origin: http://localhost:1"])
            assert shown.header("Access-Control-Allow-Origin") == "http://localhost:1"
            assert (await client.ask("GET", "/props")).header("Vary") is None
            said = await world.once(b"GET /props HTTP/1.0\r\n\r\n")
            assert said.endswith(b"Connection: close\r\n\r\ngood")
            assert behind.connections == 1

    run(scenario())
