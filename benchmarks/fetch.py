"""A download into a store against `curl` alone, from the same server on loopback.

    python benchmarks/fetch.py [--mib 1024] [--rounds 5] [--folder DIR]

The server is a process of its own that sends a file with sendfile(2). Ours hashes while it arrives,
keeps what a resume needs, and has the disk confirm the file at its end; `curl` does none of this,
so it is also measured with `sync FILE` after it. Rounds take turns; medians and the best
(of the least disturbed round) are compared. Files are removed at the very end, because a file
system that discards freed blocks is slow meanwhile: there has to be room for 3 × ROUNDS + 1 of
them. On two cores, server, receiver and hash share them: anything else that runs counts.
"""

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from llmdecl.sources.http.values import Source
from llmdecl.sources.http.web import Web
from llmdecl.store.download import Wanted, download
from llmdecl.store.store import Store, read_digest


def serve(path):
    """Answer GET with ranges, from one open file; prints its port."""
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=answer, args=(client, file, size), daemon=True).start()


def answer(client, file, size):
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = client.makefile("rb")
    try:
        while head := reader.readline():
            lines = []
            while line := reader.readline().strip():
                lines.append(line.decode())
            match = re.search(r"(?im)^range: bytes=(\d+)-(\d*)", "\n".join(lines))
            start = int(match[1]) if match else 0
            last = min(size - 1, int(match[2])) if match and match[2] else size - 1
            words = ["HTTP/1.1 206 Partial Content" if match else "HTTP/1.1 200 OK"]
            words += [f"Content-Length: {last - start + 1}", 'ETag: "x"', "Accept-Ranges: bytes"]
            words += [f"Content-Range: bytes {start}-{last}/{size}"] if match else []
            client.sendall("\r\n".join([*words, "", ""]).encode())
            while start <= last:
                start += os.sendfile(client.fileno(), file, start, last + 1 - start)
            assert head
    except OSError:
        pass
    finally:
        client.close()


class Quiet:
    def begin(self, total, so_far=0):
        pass

    def advance(self, amount):
        pass


def ours(url, folder, sha256, size):
    store = Store(Path(tempfile.mkdtemp(dir=folder)))
    wanted = Wanted("m.gguf", Source(url), "model.gguf", sha256=sha256, size_bytes=size)
    begin = time.perf_counter()
    with (
        store.workplace() as work,
        download(
            Web(), [wanted], folder=work.folder / "entry", store=store, address="m", tell=Quiet()
        ),
    ):
        took = time.perf_counter() - begin
        (work.folder / "entry").rename(store.folder / "kept")
    return took


def curl(url, folder, *, sync):
    target = Path(tempfile.mkdtemp(dir=folder)) / "m.gguf"
    begin = time.perf_counter()
    subprocess.run(["curl", "-s", "--noproxy", "*", "-o", target, url], check=True)
    if sync:
        subprocess.run(["sync", target], check=True)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = folder / "source"
        with source.open("wb") as file:
            piece = os.urandom(1 << 20)
            for number in range(options.mib):
                file.write(number.to_bytes(8, "little") + piece[8:])
        sha256, size = read_digest(source), source.stat().st_size
        argv = [sys.executable, __file__, "--serve", str(source)]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/m.gguf"
            runs = {
                "curl": lambda: curl(url, folder, sync=False),
                "curl, sync": lambda: curl(url, folder, sync=True),
                "llmdecl": lambda: ours(url, folder, sha256, size),
            }
            times = {each: [] for each in runs}
            for _ in range(options.rounds):
                for each, run in runs.items():
                    os.sync()
                    times[each].append(run())
        finally:
            server.kill()
            server.wait()
    for each, found in times.items():
        spread = ", ".join(f"{size / took / 1e6:.0f}" for took in sorted(found))
        print(f"{each:12} {size / statistics.median(found) / 1e6:7.0f} MB/s  ({spread})")
    for each in ("curl", "curl, sync"):
        for name, of in (("median", statistics.median), ("best", min)):
            share = 100 * of(times[each]) / of(times["llmdecl"])
            print(f"llmdecl moves {share:.0f} % of `{each}` ({name} of {options.rounds})")
    return None


if __name__ == "__main__":
    main()
