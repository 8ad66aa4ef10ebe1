"""A router for tests: the control API over a real supervisord, no data path.

`python fake_router.py --config FILE --run DIR --logs DIR`.
"""

import argparse
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import socketserver
import threading
import time
import xmlrpc.client
from pathlib import Path


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Transport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return Unix(self.path)


class Router:
    def __init__(self, options):
        self.config_path, self.run = Path(options.config), options.run
        self.lock = threading.RLock()
        self.held, self.draining = set(), False
        self.read()

    def read(self):
        data = self.config_path.read_bytes()
        config = json.loads(data)
        if config.get("refuse"):
            raise ValueError("address already in use")
        self.models = {model["name"]: model for model in config["models"]}
        self.sha = hashlib.sha256(data).hexdigest()

    def rpc(self, method, *arguments):
        transport = Transport(f"{self.run}/supervisord.sock")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def info(self, name):
        info = self.rpc("getProcessInfo", f"model-{name}")
        return info["pid"] if info["statename"] in ("RUNNING", "STARTING", "STOPPING") else None

    def stop(self, name):
        try:
            pid = self.info(name)
            if pid:
                self.rpc("stopProcess", f"model-{name}", False)
                while self.info(name):
                    time.sleep(0.01)
        except xmlrpc.client.Fault:
            pass

    def start(self, name):
        if self.info(name) and self.ready(name):
            return None
        Path(self.run, self.models[name]["socket"]).unlink(missing_ok=True)
        self.rpc("startProcess", f"model-{name}", False)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.ready(name):
                return None
            if not self.info(name):
                break
            time.sleep(0.01)
        return "it exited"

    def ready(self, name):
        connection = Unix(f"{self.run}/{self.models[name]['socket']}")
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def status(self):
        models = []
        for name in self.models:
            try:
                pid = self.info(name)
            except (OSError, xmlrpc.client.Error):
                pid = None
            state = "held" if name in self.held else "ready" if pid else "stopped"
            models.append(
                {"name": name, "state": state, "pid": pid, "digest": self.models[name]["digest"],
                 "in_flight": 0, "queued": 0, "idle_s": 1.0 if pid else None, "ttl_left_s": None,
                 "started_s_ago": None, "load_s": None, "adopted": False, "error": None,
                 "log_tail": None}
            )  # fmt: skip
        return {"schema": 1, "pid": os.getpid(), "config_sha256": self.sha,
                "draining": self.draining, "pools": [], "models": models}  # fmt: skip

    def post(self, path):
        match = re.fullmatch(r"/models/([^/]+)/(\w+)", path)
        if path == "/drain":
            self.draining = True
        elif path == "/reload":
            before = {name: model["digest"] for name, model in self.models.items()}
            try:
                self.read()
            except ValueError as error:
                return 400, {"error": str(error)}
            for name, digest in before.items():
                if self.models.get(name, {}).get("digest") != digest:
                    self.stop(name)
            self.held.clear()
        elif match and match[1] in self.models:
            return self.model(match[1], match[2])
        else:
            return 404, {"error": "no such model"}
        return 200, {"config_sha256": self.sha}

    def model(self, name, verb):
        if verb == "hold":
            self.held.add(name)
        if verb == "release":
            self.held.discard(name)
        if verb in ("hold", "stop", "restart"):
            self.stop(name)
        if verb in ("start", "restart"):
            error = self.start(name)
            if error:
                return 502, {"error": error, "log_tail": "scripted failure"}
        return 200, {}


def main():
    parser = argparse.ArgumentParser()
    for name in ("config", "run", "logs"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    router = Router(options)
    path = f"{options.run}/router.sock"
    Path(path).unlink(missing_ok=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def say(self, status, value):
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            with router.lock:
                self.say(200, router.status())

        def do_POST(self):
            with router.lock:
                self.say(*router.post(self.path))

        def address_string(self):
            return "unix"

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("fake router: listening", flush=True)
    Server(path, Handler).serve_forever()


if __name__ == "__main__":
    main()
