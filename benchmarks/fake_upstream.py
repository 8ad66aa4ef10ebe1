"""A model server that costs next to nothing: what it answers is ready before it is asked.

`python benchmarks/fake_upstream.py UNIX_SOCKET TCP_PORT [LEFT_FILE]`. A body with `"chunks":N` gets
a stream of N events, `"pace_ms":M` apart (all at once when 0 or absent); each event holds the
monotonic clock in ns. A client that leaves a stream is noted in LEFT_FILE with that clock.
"""

import asyncio
import re
import sys
import time
from pathlib import Path

import uvloop

_JSON = b'{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
_JSON += b'"content":"four words of answer"},"finish_reason":"stop"}]}'
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"
)
WHOLE = WHOLE % len(_JSON) + b"Server: llama.cpp\r\nKeep-Alive: timeout=5, max=100\r\n\r\n" + _JSON
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: llama.cpp\r\n"
STREAM += b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKS = re.compile(rb'"chunks":(\d+)')
PACE = re.compile(rb'"pace_ms":(\d+)')
PAD = b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}],"id":"chat-1234"'


def event() -> bytes:
    data = b'data: {%b,"t":%020d}\n\n' % (PAD, time.monotonic_ns())
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    left_file: Path | None = None

    def __init__(self) -> None:
        self.buffer = b""
        self.streaming = False
        self.missing = 0
        self.pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        if self.streaming and self.left_file:
            self.left_file.write_text(str(time.monotonic_ns()))
        self.streaming = False

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
            if self.missing <= 0:
                self.missing = 0
                self.transport.write(WHOLE)
            return
        data = self.buffer + data
        while data:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                break
            length = LENGTH.search(data, 0, end)
            whole = end + (int(length[1]) if length else 0)
            if len(data) < whole:
                if whole - end > 65536:
                    self.missing = whole - len(data)
                    self.buffer = b""
                    return
                break
            self.answer(data[end:whole])
            data = data[whole:]
        self.buffer = data

    def answer(self, body: bytes) -> None:
        chunks = CHUNKS.search(body)
        if chunks is None:
            self.transport.write(WHOLE)
            return
        pace = PACE.search(body)
        self.streaming = True
        self.transport.write(STREAM)
        self.more(int(chunks[1]), int(pace[1]) / 1000 if pace else 0)

    def more(self, left: int, pace_s: float) -> None:
        loop = asyncio.get_running_loop()
        if not self.streaming:
            return
        if pace_s:
            self.transport.write(event())
            left -= 1
        else:
            for _ in range(min(left, 16)):  # as many writes, then let others have a turn
                self.transport.write(event())
            left -= min(left, 16)
        if left:
            loop.call_later(pace_s, self.more, left, pace_s)
        else:
            self.streaming = False
            self.transport.write(b"0\r\n\r\n")


async def main(path: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    Path(path).unlink(missing_ok=True)
    servers = (
        await loop.create_unix_server(Upstream, path, backlog=1024),
        await loop.create_server(Upstream, "127.0.0.1", port, backlog=1024),
    )
    await asyncio.Event().wait()
    del servers  # uvloop closes a server that nobody holds


if __name__ == "__main__":
    Upstream.left_file = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
