"""Recognising a head that came before changes nothing but the time it takes."""

import itertools
import random
from unittest import mock

import pytest

from llmdecl.router.http.parser import RequestParser
from llmdecl.router.http.request import Reject
from llmdecl.router.ports import Lease
from llmdecl.router.upstream import Upstream

HEADS = (
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\nX: y\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\ncontent-length:%b\r\n\r\n",
    b"POST /a HTTP/1.1\r\nConnection: keep-alive\r\nContent-Length: %b\r\nHost: a\r\nX: k\r\n\r\n",
)
LENGTHS = (b"+3", b"3 ", b" 3", b"0x3", b"", b"003", b"1_0", b"999999999", b"9999999999", b"0")
LENGTHS += (b"3\n", b"\xb2", b"3\r\nContent-Length: 3", b"3\r\nTransfer-Encoding: chunked")
OTHERS = (
    b"\r\n",
    b"\r",
    b"\n",
    b"P",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\nServer: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\ncontent-length:%b\r\n\r\n",
)
OTHER_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"garbage",
)


class Sink:
    """Notes what a parser says."""

    def __init__(self) -> None:
        self.seen = []
        self.body_bytes = 0

    def on_head(self, request):
        self.seen.append((request.method, request.target, request.length))

    def on_body_bytes(self, count):
        self.body_bytes += count

    def on_request(self, request):
        fields = {key: value for key, value in vars(request).items() if key != "body"}
        self.seen.append((sorted(fields.items()), bytes(request.body)))


def damaged(data: bytes, chance: random.Random) -> bytes:
    if not data or chance.random() > 0.06:
        return data
    at = chance.randrange(len(data))
    other = chance.choice([b"", b"\r", b"\n", b" ", b"\0", b"\x80", b"5"])
    return data[:at] + other + data[at + chance.randint(0, 1) :]


def message(head: bytes, heads, others, chance: random.Random) -> bytes:
    body = b"x" * chance.choice([0, 1, 2, 9, 10, 11, 120])
    length = b"%d" % len(body)
    kind = chance.random()
    if kind > 0.9:
        return damaged(head % chance.choice(LENGTHS) + b"abc", chance)
    if kind > 0.8:
        return damaged(chance.choice(others), chance)
    return damaged((head if kind < 0.7 else chance.choice(heads)) % length + body, chance)


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    if chance.random() > 0.3 or len(data) < 5:
        return [data] if data else []
    ends = [0, *sorted(chance.sample(range(1, len(data)), chance.randint(1, 3))), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def requests(pieces):
    """What comes of them, and how it ends."""
    sink = Sink()
    parser = RequestParser(sink)
    for piece in pieces:
        try:
            parser.feed(piece)
        except Reject as reject:
            return sink.seen, sink.body_bytes, reject.status
    return sink.seen, sink.body_bytes, (parser.in_head, parser.in_body)


@pytest.mark.parametrize("seed", range(5))
def test_requests(seed):
    """The same requests and refusals come of the same bytes as without."""
    chance = random.Random(seed)
    for _ in range(400):
        head = chance.choice(HEADS)
        pieces: list[bytes] = []
        for _ in range(chance.randint(2, 7)):
            more = cut(message(head, HEADS, OTHERS, chance), chance)
            if pieces and more and chance.random() < 0.15:
                pieces[-1] += more.pop(0)
            pieces += more
        with mock.patch.object(RequestParser, "_remember"):
            expected = requests(pieces)
        assert requests(pieces) == expected, pieces


class Asker:
    """Notes what it gets of an answer."""

    def __init__(self) -> None:
        self.seen = b""
        self.end = ""

    def on_begin(self, head, rest):
        self.seen += b"%d %d %d " % (head.status, head.length, head.until_close) + head.text + rest

    def on_more(self, data):
        self.seen += data

    def on_end(self):
        self.end = "whole"

    def on_broken(self, _reason, *, stale, chunk_may_follow):
        self.end = f"broken {stale} {chunk_may_follow}"


def answers(given):
    """What comes of them; each is the pieces of one answer."""
    upstream = Upstream(mock.Mock(), Lease("m", "", 1))
    upstream.connection_made(mock.Mock())
    seen = []
    for pieces in given:
        asker = Asker()
        upstream.send(asker, b"", b"")
        for piece in pieces:
            if upstream.receiver is not None:
                upstream.data_received(piece)
        seen.append((asker.seen, asker.end, upstream.reusable))
        if asker.end != "whole" or not upstream.reusable:
            break  # nobody uses this connection again
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_answers(seed):
    """The same answers, and the same ends, come of the same bytes as without."""
    chance = random.Random(seed)
    for _ in range(100):
        head = chance.choice(ANSWERS)
        given = [
            cut(message(head, ANSWERS, OTHER_ANSWERS, chance), chance)
            for _ in range(chance.randint(2, 6))
        ]
        with mock.patch("llmdecl.router.upstream.remember", return_value=None):
            expected = answers(given)
        assert answers(given) == expected, given
