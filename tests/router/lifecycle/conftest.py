"""A real supervisord with scripted model programs, and the real router in front of them."""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from pathlib import Path

import pytest

from llmdecl.router.config import Claim, EndpointConfig, ModelConfig, PoolConfig, RouterConfig
from llmdecl.values import to_json

FAKE = Path(__file__).parents[2] / "fakes" / "fake_llama_server.py"
MIB = 1 << 20


def wait_until(holds, what, timeout_s=15.0):
    """Poll a condition with a bound; its value."""
    end = time.monotonic() + timeout_s
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.01)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(path, method, target, body=None, timeout=60):
    """Status, headers and JSON (or text) of one request over a unix socket."""
    connection = UnixConnection(path, timeout)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, target, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        try:
            return response.status, dict(response.getheaders()), json.loads(text)
        except ValueError:
            return response.status, dict(response.getheaders()), text
    finally:
        connection.close()


class Stack:
    """A run folder with supervisord, its model programs, and a router."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ll-", dir="/tmp"))
        self.run, self.logs = self.folder / "run", self.folder / "logs"
        self.run.mkdir(mode=0o700)
        self.logs.mkdir()
        self.id = os.urandom(4).hex()
        self.models = {}
        self.flags = {}
        self.options = {
            "drain_timeout_s": 5.0,
            "queue_timeout_s": 10.0,
            "queue_size": 64,
            "min_residency_s": 0.3,
        }
        self.budget = 100 * MIB
        self.supervisord = None
        self.router = None
        self.started = []

    def model(self, name, *flags, mib=60, digest="d1", **fields):
        """Declare a model; `flags` go to the fake server."""
        values = {
            "name": name,
            "aliases": (),
            "task": "chat",
            "program": f"model-{name}",
            "socket": hashlib.sha256(name.encode()).hexdigest()[:12] + ".sock",
            "digest": digest,
            "slots": 2,
            "n_ctx": 4096,
            "ttl_s": 3600.0,
            "load": "demand",
            "start_timeout_s": 10.0,
            "claims": (Claim(pool="host", bytes=mib * MIB),),
            "defaults": {},
        }
        self.models[name] = ModelConfig(**{**values, **fields})
        self.flags[name] = flags

    def config(self):
        return RouterConfig(
            endpoints=(
                EndpointConfig(
                    name="main",
                    path=str(self.run / "main.sock"),
                    apis=("openai",),
                    models=tuple(sorted(self.models)),
                ),
            ),
            models=tuple(self.models[name] for name in sorted(self.models)),
            pools=(PoolConfig(name="host", budget_bytes=self.budget),),
            **self.options,
        )

    def write(self):
        """`router.json` and supervisord's configuration, as `apply` would."""
        (self.folder / "router.json").write_bytes(to_json(self.config()))
        programs = "".join(self._program(name) for name in self.models)
        (self.folder / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={self.run}/supervisord.sock\nchmod=0600\n"
            f"[supervisord]\nnodaemon=true\nlogfile={self.logs}/supervisord.log\n"
            f"pidfile={self.run}/supervisord.pid\nidentifier={self.id}\n"
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = "
            "supervisor.rpcinterface:make_main_rpcinterface\n" + programs
        )

    def _program(self, name):
        model = self.models[name]
        words = [
            "/usr/bin/env",
            "-i",
            f"LLMDECL_STACK={self.id}",
            f"LLMDECL_MODEL={name}",
            f"LLMDECL_DIGEST={model.digest}",
            "PATH=/usr/bin:/bin",
            sys.executable,
            "-S",
            "-E",
            str(FAKE),
            "--host",
            str(self.run / model.socket),
            "--alias",
            name,
            *self.flags[name],
        ]
        command = " ".join(f'"{word}"' for word in words)
        return (
            f"[program:model-{name}]\ncommand={command}\nautostart=false\nautorestart=false\n"
            f"startsecs=0\nstopwaitsecs=5\nredirect_stderr=true\n"
            f"stdout_logfile={self.logs}/model-{name}.log\n"
        )

    def start_supervisord(self):
        self.supervisord = self._popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "supervisor.supervisord",
                "-c",
                str(self.folder / "supervisord.conf"),
            ],
            "supervisord.out",
        )
        wait_until(lambda: self._listens("supervisord.sock"), "supervisord listens")

    def reread(self):
        """Have supervisord take changed programs, stopping what changed, as `apply` would."""
        for group in self.rpc("reloadConfig")[0]:
            for name in group:
                with contextlib.suppress(xmlrpc.client.Fault):
                    self.rpc("removeProcessGroup", name)
                with contextlib.suppress(xmlrpc.client.Fault):
                    self.rpc("addProcessGroup", name)

    def rpc(self, method, *arguments):
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.run}/supervisord.sock")
        try:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport)
            return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def start_router(self):
        self.router = self._popen(
            [
                sys.executable,
                "-m",
                "llmdecl.router",
                "--config",
                str(self.folder / "router.json"),
                "--run",
                str(self.run),
                "--logs",
                str(self.logs),
            ],
            "router.log",
        )
        wait_until(self._router_answers, "the router answers")

    def _router_answers(self):
        if self.router.poll() is not None:
            pytest.fail("the router ended: " + (self.logs / "router.log").read_text()[-2000:])
        return self._listens("router.sock") and self._listens("main.sock")

    def _listens(self, name):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.run / name))
            except OSError:
                return False
        return True

    def _popen(self, argv, log):
        environment = {"PATH": "/usr/bin:/bin", "LLMDECL_STACK": self.id, "LANG": "C.UTF-8"}
        with (self.logs / log).open("ab") as out:
            process = subprocess.Popen(
                argv, stdout=out, stderr=out, env=environment, start_new_session=True
            )
        self.started.append(process)
        return process

    def up(self):
        self.write()
        self.start_supervisord()
        self.start_router()
        return self

    def control(self, method, target, timeout=60):
        status, _, body = call(self.run / "router.sock", method, target, timeout=timeout)
        return status, body

    def status(self):
        return self.control("GET", "/status")[1]

    def state_of(self, name):
        return next(m for m in self.status()["models"] if m["name"] == name)

    def wait_state(self, name, state, timeout_s=15.0):
        return wait_until(
            lambda: (found := self.state_of(name))["state"] == state and found,
            f"{name} is {state}",
            timeout_s,
        )

    def ask(self, model, *, timeout=60, stream=False, **fake):
        body = {"model": model, "messages": [], "stream": stream, "fake": fake}
        return call(self.run / "main.sock", "POST", "/v1/chat/completions", body, timeout)

    def ask_later(self, model, **options):
        """The same in a thread; `.answer` is there once it has ended."""
        thread = threading.Thread(
            target=lambda: setattr(thread, "answer", self._safe(model, options))
        )
        thread.answer = None
        thread.start()
        return thread

    def _safe(self, model, options):
        try:
            return self.ask(model, **options)
        except (OSError, http.client.HTTPException) as error:
            return error

    def mine(self):
        """PIDs of all processes of this stack."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and f"LLMDECL_STACK={self.id}".encode() in (
                    entry / "environ"
                ).read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def down(self):
        for process in reversed(self.started):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(10)
        for pid in self.mine():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not [p for p in self.mine() if alive(p)], "nothing is left", 10)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def stack():
    stack = Stack()
    try:
        yield stack
    finally:
        stack.down()
