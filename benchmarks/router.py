"""What the router's data path costs against a direct connection: `python benchmarks/router.py`.

Three processes: a very fast upstream, the router with a lifecycle that always says yes, and this
one, the load generator, on raw protocols. Rounds of direct and routed runs alternate; medians are
shown. `--loop asyncio` runs the router on the standard library's loop.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

HERE = Path(__file__).parent
HEADERS = (
    "Host: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    "User-Agent: OpenAI/Python 2.0.0\r\nAuthorization: Bearer sk-none\r\n"
)


def request(**body) -> bytes:
    text = json.dumps({"messages": [{"role": "user", "content": "Say four words."}], **body})
    text = text.replace('": ', '":')
    head = f"POST /v1/chat/completions HTTP/1.1\r\n{HEADERS}Content-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


PLAIN = request(model="m")


class Client(asyncio.Protocol):
    """One connection. `answer()` is done when a whole answer came; `first` when its first chunk."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.times: list[int] | None = None
        self.chunks = 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def connection_lost(self, _exc) -> None:
        if getattr(self, "waiter", None) and not self.waiter.done():
            self.waiter.set_exception(ConnectionError("hung up"))

    def ask(self, data: bytes):
        self.waiter = self.loop.create_future()
        self.first = self.loop.create_future()
        self.stream = b'"chunks"' in data
        self.left = -1
        self.tail = b""
        self.transport.write(data)
        return self.waiter

    def data_received(self, data: bytes) -> None:
        if self.stream:
            self.on_stream(data)
            return
        if self.left < 0:
            end = data.find(b"\r\n\r\n") + 4
            at = data.lower().index(b"content-length:") + 15
            self.left = int(data[at : data.index(b"\r", at)]) + end
        self.left -= len(data)
        if self.left == 0:
            self.waiter.set_result(None)

    def on_stream(self, data: bytes) -> None:
        found = data.count(b'"t":')
        self.chunks += found
        if found and not self.first.done():
            self.first.set_result(time.perf_counter())
        if self.times is not None and found:
            now = time.monotonic_ns()
            at = data.rindex(b'"t":') + 4
            self.times.append(now - int(data[at : at + 20]))
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n":
            self.waiter.set_result(None)


class Throughput(asyncio.Protocol):
    """Closed loop without futures: the next request goes out when an answer is in."""

    count = 0
    going = True

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(PLAIN)

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"}"):
            Throughput.count += 1
            if Throughput.going:
                self.transport.write(PLAIN)


async def connect(port: int, factory=Client):
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(factory, "127.0.0.1", port))[1]


def cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def throughput(port: int, seconds: float, pid: int) -> dict[str, float]:
    Throughput.count, Throughput.going = 0, True
    clients = [await connect(port, Throughput) for _ in range(64)]
    await asyncio.sleep(0.2)
    count, cpu, start = Throughput.count, cpu_ns(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    count, took = Throughput.count - count, time.perf_counter() - start
    cpu = cpu_ns(pid) - cpu
    Throughput.going = False
    await asyncio.sleep(0.1)
    for client in clients:
        client.transport.close()
    return {"requests/s, 64 connections": count / took, "CPU us/request": cpu / count / 1000}


async def latency(port: int, n: int) -> dict[str, float]:
    client = await connect(port)
    took = []
    for _ in range(n):
        start = time.perf_counter()
        await client.ask(PLAIN)
        took.append((time.perf_counter() - start) * 1e6)
    client.transport.close()
    took = sorted(took[n // 10 :])
    return {
        "p50 us, 1 connection": took[len(took) // 2],
        "p99 us, 1 connection": took[len(took) * 99 // 100],
    }


async def ttft(port: int, streams: int, rounds: int) -> dict[str, float]:
    data = request(model="m", stream=True, chunks=3)
    clients = [await connect(port) for _ in range(streams)]
    took = []

    async def one(client) -> None:
        start = time.perf_counter()
        done = client.ask(data)
        took.append(((await client.first) - start) * 1e6)
        await done

    for _ in range(rounds):
        await asyncio.gather(*[one(client) for client in clients])
    for client in clients:
        client.transport.close()
    return {f"TTFT us, {streams} at once": statistics.median(took)}


async def paced(port: int, chunks: int) -> dict[str, float]:
    client = await connect(port)
    client.times = []
    await client.ask(request(model="m", stream=True, chunks=chunks, pace_ms=1))
    client.transport.close()
    delays = sorted(t / 1000 for t in client.times)
    return {
        "chunk p50 us, 1 stream": delays[len(delays) // 2],
        "chunk p99 us, 1 stream": delays[len(delays) * 99 // 100],
    }


async def flat_out(port: int, streams: int, chunks: int) -> dict[str, float]:
    clients = [await connect(port) for _ in range(streams)]
    data = request(model="m", stream=True, chunks=chunks)
    start = time.perf_counter()
    await asyncio.gather(*[client.ask(data) for client in clients])
    took = time.perf_counter() - start
    for client in clients:
        client.transport.close()
    return {"chunks/s, 32 streams": streams * chunks / took}


async def chunk_cpu(port: int, streams: int, chunks: int, pid: int) -> dict[str, float]:
    clients = [await connect(port) for _ in range(streams)]
    data = request(model="m", stream=True, chunks=chunks, pace_ms=5)
    cpu = cpu_ns(pid)
    await asyncio.gather(*[client.ask(data) for client in clients])
    cpu = cpu_ns(pid) - cpu
    for client in clients:
        client.transport.close()
    return {"CPU us/chunk, 32 paced streams": cpu / (streams * chunks) / 1000}


async def bodies(port: int, mib: int, n: int) -> dict[str, float]:
    text = json.dumps({"messages": [{"role": "user", "content": "x" * (mib << 20)}], "model": "m"})
    head = f"POST /v1/chat/completions HTTP/1.1\r\n{HEADERS}Content-Length: {len(text)}\r\n\r\n"
    data = (head + text).encode()
    client = await connect(port)
    took = []
    for _ in range(n):
        start = time.perf_counter()
        await client.ask(data)
        took.append((time.perf_counter() - start) * 1000)
    client.transport.close()
    return {f"ms, {mib} MiB body": statistics.median(took)}


async def leaving(port: int, left: Path, n: int) -> dict[str, float]:
    took = []
    for _ in range(n):
        left.unlink(missing_ok=True)
        client = await connect(port)
        waiter = client.ask(request(model="m", stream=True, chunks=10**6, pace_ms=20))
        await client.first
        start = time.monotonic_ns()
        client.transport.abort()
        with contextlib.suppress(ConnectionError):
            await waiter
        while not left.exists() or not left.read_text():
            await asyncio.sleep(0.001)
        took.append((int(left.read_text()) - start) / 1e6)
    return {"ms until upstream knows a client left": statistics.median(took)}


async def one_round(port: int, pid: int, left: Path, scale: float) -> dict[str, float]:
    parts = (
        throughput(port, 2 * scale, pid),
        latency(port, int(4000 * scale)),
        ttft(port, 1, int(500 * scale)),
        ttft(port, 32, int(30 * scale)),
        paced(port, int(500 * scale)),
        flat_out(port, 32, int(4000 * scale)),
        chunk_cpu(port, 32, int(100 * scale), pid),
        bodies(port, 1, 10),
        bodies(port, 8, 5),
        leaving(port, left, 5),
    )
    result = {}
    for part in parts:
        result.update(await asyncio.wait_for(part, 60))
    return result


class AlwaysReady:
    """A lifecycle without models' lives."""

    def __init__(self, path: str) -> None:
        from llmdecl.router.ports import Lease

        self.lease = Lease
        self.path = path

    def try_acquire(self, model: str):
        return self.lease(model, self.path, 1)

    async def acquire(self, model: str):
        return self.try_acquire(model)

    def release(self, lease, *, abandoned: bool = False) -> None:
        pass

    def states(self) -> dict[str, str]:
        return {"m": "ready"}


async def serve(upstream: str, port: int) -> None:
    from llmdecl.router.config import EndpointConfig, ModelConfig, RouterConfig
    from llmdecl.router.server import Server

    model = ModelConfig(
        name="m",
        aliases=(),
        task="chat",
        program="m",
        socket="m.sock",
        digest="0",
        slots=64,
        n_ctx=4096,
        ttl_s=None,
        load="demand",
        start_timeout_s=60,
        claims=(),
        defaults={},
    )
    endpoint = EndpointConfig(
        name="main", host="127.0.0.1", port=port, apis=("openai",), models=("m",)
    )
    config = RouterConfig(
        endpoints=(endpoint,),
        models=(model,),
        pools=(),
        drain_timeout_s=5,
        queue_timeout_s=60,
        queue_size=64,
        min_residency_s=0,
    )
    await Server(config, AlwaysReady(upstream)).start()
    await asyncio.Event().wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(5000):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.002)
        else:
            return
    raise SystemExit(f"nobody listens on {port}")


def measure(loop: str, rounds: int, scale: float) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ll-", dir="/tmp"))
    upstream_socket, left = folder / "m.sock", folder / "left"
    ports = {"direct": free_port(), "router": free_port()}
    upstream_argv = [HERE / "fake_upstream.py", upstream_socket, str(ports["direct"]), left]
    upstream = subprocess.Popen([sys.executable, *upstream_argv])
    wait_for(ports["direct"])
    router_argv = [__file__, "--serve", upstream_socket, str(ports["router"]), "--loop", loop]
    start = time.perf_counter()
    router = subprocess.Popen([sys.executable, *router_argv])
    try:
        wait_for(ports["router"])
        started_ms = (time.perf_counter() - start) * 1000
        idle = rss_mib(router.pid)
        pids = {"direct": upstream.pid, "router": router.pid}
        results: dict[str, list[dict[str, float]]] = {"direct": [], "router": []}
        for _ in range(rounds):
            for way in ("direct", "router"):
                result = uvloop.run(one_round(ports[way], pids[way], left, scale))
                results[way].append(result)
        report(results)
        print(f"{'start, ms':42}{'':>12}{started_ms:>12.0f}")
        print(f"{'RSS idle / after load, MiB':42}{'':>12}{idle:>12.0f}{rss_mib(router.pid):>12.0f}")
    finally:
        router.kill()
        upstream.kill()
        shutil.rmtree(folder)


def report(results: dict[str, list[dict[str, float]]]) -> None:
    print(f"{'':42}{'direct':>12}{'router':>12}{'added':>12}")
    for key in results["direct"][0]:
        direct, routed = (statistics.median(r[key] for r in results[w]) for w in results)
        added = (
            "" if key.startswith(("requests/s", "chunks/s", "CPU")) else f"{routed - direct:12.2f}"
        )
        shown_direct = "" if key.startswith("CPU") else f"{direct:12.1f}"
        print(f"{key:42}{shown_direct:>12}{routed:12.1f}{added}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="length of each measurement")
    parser.add_argument("--serve", nargs=2, metavar=("UPSTREAM", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        run = uvloop.run if options.loop == "uvloop" else asyncio.run
        run(serve(options.serve[0], int(options.serve[1])))
    else:
        measure(options.loop, options.rounds, options.scale)


if __name__ == "__main__":
    main()
