"""What is not plainly HTTP/1.1 is refused, and the connection with it."""

import pytest

from tests.router.data_path.harness import CHAT, post, request, stack

CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(
    *lines: bytes, method=b"POST", version=b"HTTP/1.1", target=b"/v1/chat/completions"
) -> bytes:
    return b"\r\n".join([b"%b %b %b" % (method, target, version), *lines, b"", b""])


BAD = {
    "content-length twice": head(b"Host: a", b"Content-Length: 3", b"Content-Length: 3") + b"abc",
    "content-length differs": head(b"Host: a", b"Content-Length: 3", b"Content-Length: 4")
    + b"abcd",
    "content-length list": head(b"Host: a", b"Content-Length: 3, 3") + b"abc",
    "content-length plus": head(b"Host: a", b"Content-Length: +3") + b"abc",
    "content-length minus": head(b"Host: a", b"Content-Length: -3") + b"abc",
    "content-length hex": head(b"Host: a", b"Content-Length: 0x3") + b"abc",
    "content-length empty": head(b"Host: a", b"Content-Length: ") + b"abc",
    "content-length huge": head(b"Host: a", b"Content-Length: 99999999999999999999"),
    "length then coding": head(b"Host: a", b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "coding then length": head(b"Host: a", b"Transfer-Encoding: chunked", b"Content-Length: 3"),
    "coding unknown": head(b"Host: a", b"Transfer-Encoding: xchunked"),
    "coding not last": head(b"Host: a", b"Transfer-Encoding: chunked, identity"),
    "coding gzip too": head(b"Host: a", b"Transfer-Encoding: gzip, chunked"),
    "coding twice": head(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "coding after vt": head(b"Host: a", b"Transfer-Encoding: \x0bchunked"),
    "coding in 1.0": head(b"Host: a", b"Transfer-Encoding: chunked", version=b"HTTP/1.0"),
    "space before colon": head(b"Host: a", b"Transfer-Encoding : chunked"),
    "folded header": head(b"Host: a", b"X: a", b" b", b"Content-Length: 0"),
    "folded coding": head(b"Host: a", b"Transfer-Encoding:", b" chunked"),
    "space first": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: a\n\n",
    "one bare line feed": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare carriage return": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "nul in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    "bad name": b"GET / HTTP/1.1\r\nHost: a\r\nX(: a\r\n\r\n",
    "no name": b"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
    "chunk size no number": CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n",
    "chunk size 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size negative": CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKED + b"fffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
    "chunk size space": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "chunk size line feed": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "chunk too long": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk end line feed": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "chunk extension line feed": CHUNKED + b"3;a\nabc\r\n0\r\n\r\n",
    "trailer line feed": CHUNKED + b"0\r\n\n",
    "absolute form": b"GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "connect": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "websocket": head(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "host with path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "host empty": b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "http 2 in text": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http 0.9": b"GET /\r\n\r\n",
    "http 1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in target": b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n",
    "star for get": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no such method": b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n",
}
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("name", BAD)
def test_refused_and_closed(run, name):
    """One 400, the connection ends, the model hears nothing, what follows is not a request."""

    async def scenario():
        async with stack() as (world, behind):
            said = await world.once(BAD[name] + SMUGGLED)
            assert said.startswith(b"HTTP/1.1 400 "), said
            assert said.count(b"HTTP/1.1 ") == 1
            assert b"Connection: close" in said
            assert b'"invalid_request_error"' in said
            assert not behind.asked
            assert not world.lifecycle.held

    run(scenario())


def test_good_before_bad(run):
    """A good request in front of a bad one is answered, the bad one after it."""

    async def scenario():
        async with stack() as (world, behind):
            said = await world.once(post(model="m") + BAD["coding then length"])
            assert said.startswith(b"HTTP/1.1 200 ")
            assert said.count(b"HTTP/1.1 ") == 2
            assert b"HTTP/1.1 400 " in said
            assert len(behind.asked) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([f"X: {'a' * 70_000}"], 431),
        ([f"X-{n}: {'a' * 800}" for n in range(100)], 431),
        ([f"X-{n}: a" for n in range(200)], 431),
        (["Expect: magic"], 417),
    ],
)
def test_heads_are_bounded(run, headers, status):
    """64 KiB and 128 headers, whether they come as one or as many."""

    async def scenario():
        async with stack() as (world, _):
            said = await world.once(request(headers=headers))
            assert said.startswith(b"HTTP/1.1 %d " % status), said[:200]

    run(scenario())


def test_endless_head(run):
    """A head without an end is refused once it is too long, in whatever pieces it comes."""

    async def scenario():
        async with stack() as (world, _):
            client = await world.client()
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
            for _ in range(100):
                client.send(b"a" * 4096)
                await client.writer.drain()
            assert (await client.answer()).status == 431

    run(scenario())


def test_endless_chunk_extension(run):
    """Framing that never becomes a body is refused too."""

    async def scenario():
        async with stack() as (world, _):
            client = await world.client()
            client.send(CHUNKED + b"1;")
            for _ in range(200):
                client.send(b"a" * 4096)
                await client.writer.drain()
            assert (await client.answer()).status == 400

    run(scenario())


def test_body_too_large(run, monkeypatch):
    """413 before any of it is read when announced, and when it has grown too long in chunks."""
    monkeypatch.setattr("llmdecl.router.http.parser.BODY_BYTES", 1000)

    async def scenario():
        async with stack() as (world, behind):
            said = await world.once(head(b"Host: a", b"Content-Length: 1001"))
            assert said.startswith(b"HTTP/1.1 413 ")
            said = await world.once(CHUNKED + b"400\r\n" + b" " * 0x400)
            assert said.startswith(b"HTTP/1.1 413 ")
            assert not behind.asked

    run(scenario())


def test_all_bodies_together(run, monkeypatch):
    """Bodies that wait are bounded together: 503, and the memory is given back."""
    monkeypatch.setattr("llmdecl.router.http.client.BUFFERED_BYTES", 1000)

    async def scenario():
        async with stack() as (world, _):
            said = await world.once(post(text="a" * 2000))
            assert said.startswith(b"HTTP/1.1 503 ")
            assert (await (await world.client()).ask("POST", CHAT, b"{}")).status == 200
            assert world.server.buffered == 0

    run(scenario())


def test_java_h2c_offer(run):
    """Java's HttpClient offers h2c with every request: HTTP/1.1 goes on, the offer stays here."""

    async def scenario():
        async with stack() as (world, behind):
            client = await world.client()
            offer = [
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
            ]
            client.send(post(headers=offer, model="m") + post(model="m"))
            assert (await client.answer()).status == 200
            assert (await client.answer()).status == 200
            assert not behind.asked[0].names & {"connection", "upgrade", "http2-settings"}

    run(scenario())
