"""llama-swap for tests: its command line, its way with a configuration, its HTTP interface.

Started as `python fake_llama_swap.py -config FILE -listen HOST:PORT`. The file is read by the
independent reader of the emitter's tests; models are started, health-checked, evicted by the matrix
and stopped as llama-swap v250 does. Unlike the real one it neither queues nor unloads idle models.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.emit.llama_swap_reader import argv, expand, load


class Swap:
    def __init__(self, config):
        self.models = config["models"]
        self.limit_s = config["healthCheckTimeout"]
        matrix = config["routing"]["router"]["settings"]["matrix"]
        self.sets = set().union(*expand(matrix).values())
        self.running = {}
        self.lock = threading.Lock()

    def load(self, name):
        """The model is ready; what no set allows beside it is gone. Empty, or what went wrong."""
        with self.lock:
            process = self.running.get(name)
            if process is not None and process.poll() is None:
                return ""
            fitting = [one for one in self.sets if name in one] or [frozenset([name])]
            kept = max(fitting, key=lambda one: len(one & self.running.keys()))
            for other in set(self.running) - kept:
                self.stop(other)
            self.running[name] = process = subprocess.Popen(argv(self.models[name]["cmd"]))
            return self.wait(name, process)

    def wait(self, name, process):
        deadline = time.monotonic() + self.limit_s
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return "upstream command exited prematurely"
            try:
                if self.ask(name, "GET", self.models[name]["checkEndpoint"], b"")[0] == 200:
                    return ""
            except OSError:
                pass
            time.sleep(0.02)
        self.stop(name)
        return "health check timed out"

    def ask(self, name, method, path, body):
        at = urlsplit(self.models[name]["proxy"])
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
        try:
            connection.request(method, path, body=body)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def stop(self, name):
        process = self.running.pop(name, None)
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def handler_of(swap):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def answer(self, status, body):
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            if self.path == "/health":
                self.answer(200, b"OK")
            elif self.path == "/running":
                up = [{"model": n, "state": "ready"} for n in swap.running]
                self.answer(200, {"running": up})
            elif self.path.startswith("/upstream/"):
                name, _, rest = self.path.removeprefix("/upstream/").partition("/")
                self.forward(unquote(name), "/" + rest, b"")
            else:
                self.answer(404, b"not found")

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/api/models/unload/"):
                swap.stop(unquote(self.path.rpartition("/")[2]))
                self.answer(200, b"OK")
            else:
                self.forward(json.loads(body)["model"], self.path, body)

        def forward(self, name, path, body):
            if name not in swap.models:
                return self.answer(404, b"model not found")
            problem = swap.load(name)
            if problem:
                return self.answer(502, problem.encode())
            return self.answer(*swap.ask(name, self.command, path, body))

    return Handler


def main():
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    swap = Swap(load(Path(arguments["-config"]).read_text(), dict(os.environ)))
    host, _, port = arguments["-listen"].rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), handler_of(swap))

    def end(*_):
        for name in list(swap.running):
            swap.stop(name)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    server.serve_forever()


main()
