"""A model server for tests: llama-server's manners on a socket, without a model.

Run as a program, `python fake_llama_server.py --host /tmp/x.sock [--fake-...]`. Flags of
llama-server are accepted and ignored, but for `--host`, `--port`, `--alias`, `--ctx-size`,
`--parallel` and `--embedding`. Standard library only, so that it starts in about 60 ms with
`python -S -E`.

It keeps the traps of the real one: a stale socket file makes the start fail with status 1, the
socket file stays behind, `/health` is 503 while "loading", SIGTERM does not drain.

A request's body may hold `"fake": {...}` with the names of the options below (without `fake-`,
`_` for `-`) to change them for that request alone. `"fake": {"echo": true}` answers with the head
and the body (base64) as they came.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any


def options(argv: list[str]) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    p.add_argument("--host", required=True, help="path of the unix socket, or an address")
    p.add_argument("--port", type=int, default=0, help="listen on TCP instead")
    p.add_argument("--alias", default="fake")
    p.add_argument("--ctx-size", type=int, default=4096)
    p.add_argument("--parallel", type=int, default=1)
    p.add_argument("--embedding", action="store_true")
    fake = p.add_argument_group("the script")
    fake.add_argument("--fake-bind-s", type=float, default=0, help="before the socket is there")
    fake.add_argument("--fake-load-s", type=float, default=0, help="/health is 503 for so long")
    fake.add_argument("--fake-think-s", type=float, default=0, help="before the first byte")
    fake.add_argument("--fake-chunks", type=int, default=5, help="tokens of an answer")
    fake.add_argument("--fake-chunk-s", type=float, default=0, help="between two chunks")
    fake.add_argument("--fake-bytes", type=int, default=0, help="pad a non-streamed answer")
    fake.add_argument("--fake-cancel-s", type=float, default=0, help="non-streamed: noticed late")
    fake.add_argument("--fake-status", type=int, default=200, help="answer requests with this")
    fake.add_argument("--fake-die-before-head", action="store_true", help="exit, nothing sent")
    fake.add_argument("--fake-die-after-chunks", type=int, default=-1, help="exit mid-answer")
    fake.add_argument("--fake-close-after", type=int, default=0, help="close after N requests")
    fake.add_argument("--fake-exit", type=int, default=None, help="fail to start, this status")
    fake.add_argument("--fake-crash-s", type=float, default=0, help="SIGKILL oneself after this")
    fake.add_argument("--fake-ignore-sigterm", action="store_true")
    fake.add_argument("--fake-term-s", type=float, default=0, help="time from SIGTERM to exit")
    fake.add_argument("--fake-record", default="", help="file: one JSON line an event")
    fake.add_argument("--fake-load-log", default="", help="file: what it says while it loads")
    fake.add_argument("--fake-say", default="", help="a line for the log at start")
    return p.parse_known_args(argv)[0]


class Server:
    def __init__(self, opts: argparse.Namespace) -> None:
        self.opts = opts
        self.started = time.monotonic()
        self.busy: dict[int, str] = {}
        self.served = 0

    def record(self, event: str, **fields: Any) -> None:
        if self.opts.fake_record:
            line = json.dumps({"event": event, "t": time.time(), "pid": os.getpid(), **fields})
            with Path(self.opts.fake_record).open("a") as file:
                file.write(line + "\n")

    @property
    def loading(self) -> bool:
        return time.monotonic() - self.started < self.opts.fake_load_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        try:
            while True:
                request = await read_request(reader, writer)
                if request is None:
                    break
                count += 1
                last = bool(self.opts.fake_close_after) and count >= self.opts.fake_close_after
                await self.answer(reader, writer, *request, last=last)
                if last:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def answer(self, reader, writer, method, target, headers, body, *, last):
        path = target.split("?", 1)[0]
        self.served += 1
        if path == "/health":
            if self.loading:
                error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
                return await send(writer, 503, {"error": error}, method, last=last)
            return await send(writer, 200, {"status": "ok"}, method, last=last)
        if path == "/slots":
            slots = [
                {"id": i, "n_ctx": self.opts.ctx_size, "is_processing": i < len(self.busy)}
                for i in range(self.opts.parallel)
            ]
            return await send(writer, 200, slots, method, last=last)
        if path == "/props":
            settings = {"n_ctx": self.opts.ctx_size}
            props = {"default_generation_settings": settings, "total_slots": self.opts.parallel}
            return await send(
                writer, 200, {**props, "model_alias": self.opts.alias}, method, last=last
            )
        if path in {"/v1/models", "/models"}:
            return await send(writer, 200, {"data": [{"id": self.opts.alias}]}, method, last=last)
        self.record(
            "request", method=method, target=target, headers=headers, body=body.decode("latin1")
        )
        if method != "POST":
            return await send(writer, 404, {"error": {"message": "not found"}}, method, last=last)
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            error = {"code": 400, "message": "bad json", "type": "invalid_request_error"}
            return await send(writer, 400, {"error": error}, method, last=last)
        script = argparse.Namespace(**vars(self.opts))
        for name, value in (asked.get("fake") or {}).items():
            setattr(script, f"fake_{name}", value)
        slot = id(writer)
        self.busy[slot] = path
        gone = asyncio.ensure_future(watch(reader))
        work = asyncio.ensure_future(
            self.generate(writer, path, asked, script, headers, body, last=last)
        )
        stream = bool(asked.get("stream"))
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.record("left", target=target, stream=stream)
                if not stream and script.fake_cancel_s:
                    await asyncio.wait({work}, timeout=script.fake_cancel_s)
                raise ConnectionResetError
            work.result()
            self.record("done", target=target)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
            self.busy.pop(slot, None)

    async def generate(self, writer, path, asked, script, headers, body, *, last):
        if script.fake_die_before_head:
            os._exit(9)
        if script.fake_think_s:
            await asyncio.sleep(script.fake_think_s)
        if script.fake_status != 200:
            error = {"code": script.fake_status, "message": "scripted", "type": "server_error"}
            return await send(writer, script.fake_status, {"error": error}, "POST", last=last)
        if getattr(script, "fake_echo", False):
            value = {"headers": headers, "body": base64.b64encode(body).decode()}
            return await send(writer, 200, value, "POST", last=last)
        if asked.get("stream"):
            return await self.stream(writer, path, script, last=last)
        for _ in range(script.fake_chunks):
            if script.fake_chunk_s:
                await asyncio.sleep(script.fake_chunk_s)
        value = whole(path, self.opts.alias, asked, script.fake_chunks)
        if script.fake_bytes:
            return await self.big(writer, value, script, last=last)
        return await send(writer, 200, value, "POST", last=last)

    async def big(self, writer, value, script, *, last):
        text = json.dumps({**value, "pad": ""}).encode()[:-2]
        pad = script.fake_bytes
        writer.write(head(200, len(text) + pad + 2, last=last) + text)
        block = b"x" * 65536
        while pad:
            piece = block[: min(pad, len(block))]
            pad -= len(piece)
            writer.write(piece)
            await writer.drain()
        writer.write(b'"}')
        await writer.drain()

    async def stream(self, writer, path, script, *, last):
        connection = b"Connection: close\r\n" if last else b""
        writer.write(
            b"HTTP/1.1 200 OK\r\nServer: fake\r\nContent-Type: text/event-stream\r\n"
            + connection
            + b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(script.fake_chunks):
            if number == script.fake_die_after_chunks:
                await writer.drain()
                os._exit(9)
            event = b"data: " + json.dumps(piece_of(path, self.opts.alias, number)).encode()
            writer.write(chunk(event + b"\n\n"))
            await writer.drain()
            if script.fake_chunk_s:
                await asyncio.sleep(script.fake_chunk_s)
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()


async def watch(reader: asyncio.StreamReader) -> None:
    """Ends when the client closes; there is no pipelining towards a model server."""
    while not reader.at_eof():
        await asyncio.sleep(0.002)
        if reader.exception() is not None:
            return


async def read_request(reader, writer):
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = block[:-4].decode("latin1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [list(line.split(": ", 1)) for line in lines]
    named = {name.lower(): value for name, value in headers}
    if named.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = b""
    if "content-length" in named:
        body = await reader.readexactly(int(named["content-length"]))
    return method, target, headers, body


def head(status: int, length: int, *, last: bool) -> bytes:
    connection = "Connection: close\r\n" if last else "Keep-Alive: timeout=5, max=100\r\n"
    return (
        f"HTTP/1.1 {status} Scripted\r\nServer: fake\r\nContent-Type: application/json\r\n"
        f"{connection}Content-Length: {length}\r\n\r\n"
    ).encode()


async def send(writer, status: int, value: Any, method: str, *, last: bool) -> None:
    data = json.dumps(value).encode()
    writer.write(head(status, len(data), last=last) + (b"" if method == "HEAD" else data))
    await writer.drain()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def piece_of(path: str, alias: str, number: int) -> dict[str, Any]:
    common = {"id": "cmpl-fake", "created": 1, "model": alias}
    if "chat" in path:
        choice = {"index": 0, "delta": {"content": f"token{number} "}, "finish_reason": None}
        return {**common, "object": "chat.completion.chunk", "choices": [choice]}
    choice = {"index": 0, "text": f"token{number} ", "finish_reason": None}
    return {**common, "object": "text_completion", "choices": [choice], "content": choice["text"]}


def whole(path: str, alias: str, asked: dict[str, Any], chunks: int) -> dict[str, Any]:
    text = "".join(f"token{n} " for n in range(chunks))
    usage = {"prompt_tokens": 1, "completion_tokens": chunks, "total_tokens": chunks + 1}
    common = {"id": "cmpl-fake", "created": 1, "model": alias, "usage": usage}
    if "embedding" in path:
        inputs = asked.get("input", asked.get("content", ""))
        many = inputs if isinstance(inputs, list) else [inputs]
        rows = [
            {"object": "embedding", "index": i, "embedding": [0.1, 0.2, float(i)]}
            for i in range(len(many))
        ]
        return {**common, "object": "list", "data": rows}
    if "chat" in path:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**common, "object": "chat.completion", "choices": [choice]}
    if "tokenize" in path:
        return {"tokens": [1, 2, 3], "content": "abc"}
    choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return {**common, "object": "text_completion", "choices": [choice], "content": text}


async def main(opts: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    server = Server(opts)
    print(f"fake llama-server: loading {opts.alias}", flush=True)
    if opts.fake_load_log:
        print(Path(opts.fake_load_log).read_text(), flush=True)
    if opts.fake_say:
        print(opts.fake_say, flush=True)
    if opts.fake_exit is not None:
        if opts.fake_load_s:
            await asyncio.sleep(opts.fake_load_s)
        print("error: scripted failure to load the model", flush=True)
        return int(opts.fake_exit)

    def on_term() -> None:
        if not opts.fake_ignore_sigterm and not stop.done():
            loop.call_later(opts.fake_term_s, stop.set_result, 0)
            loop.remove_signal_handler(signal.SIGTERM)

    loop.add_signal_handler(signal.SIGTERM, on_term)
    if opts.fake_crash_s:
        loop.call_later(opts.fake_crash_s, os.kill, os.getpid(), signal.SIGKILL)
    if opts.fake_bind_s:
        await asyncio.sleep(opts.fake_bind_s)
    listener = socket.socket(socket.AF_INET if opts.port else socket.AF_UNIX)
    if opts.port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((opts.host, opts.port) if opts.port else opts.host)
    except OSError as error:
        print(f"couldn't bind {opts.host}: {error}", flush=True)
        return 1
    serve = asyncio.start_server if opts.port else asyncio.start_unix_server
    await serve(server.serve, sock=listener, limit=1 << 26)
    print(f"fake llama-server: listening on {opts.host}", flush=True)
    return await stop


if __name__ == "__main__":
    code = asyncio.run(asyncio.wait_for(main(options(sys.argv[1:])), None))
    sys.stdout.flush()
    os._exit(code)  # SIGTERM does not drain, and the socket file stays behind
