"""A whole stack in a folder of its own, driven through the command line as a person would."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, what: str, seconds: float = 60):
    """The condition's first true value; fails with `what` when it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def rpc_servers(llama_server: Path, count: int):
    """Ports of `ggml-rpc-server`s, each a pretend accelerator that computes on the processor."""
    ports = [free_port() for _ in range(count)]
    program = str(llama_server.resolve().with_name("ggml-rpc-server"))
    with contextlib.ExitStack() as running:
        for port in ports:
            server = running.enter_context(
                subprocess.Popen(
                    [program, "-H", "127.0.0.1", "-p", str(port), "-d", "CPU"],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            running.callback(server.kill)
            wait_until(lambda port=port: _answers(port), f"ggml-rpc-server on port {port}")
        yield ports


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except OSError:
        return False


class Stack:
    """One spec with its folders. `cli` runs a verb; `end` leaves nothing behind."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ll-", dir="/tmp"))
        self.spec = self.folder / "llmdecl.toml"
        self.port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("LLMDECL_", "XDG_"))},
            "LLMDECL_STATE_DIR": str(self.folder / "state"),
            "LLMDECL_STORE_DIR": str(self.folder / "store"),
            "LLMDECL_CACHE_DIR": str(self.folder / "cache"),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self, text: str) -> None:
        self.spec.write_text(text.replace("PORT", str(self.port)))

    def edit(self, old: str, new: str) -> None:
        text = self.spec.read_text()
        assert old in text, f"{old!r} is not in the spec"
        self.spec.write_text(text.replace(old, new, 1))

    def run(self, *words: str, timeout: float = 180, **extra: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "llmdecl", *words],
            cwd=self.folder,
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr + done.stdout
        return done

    def cli(self, *words: str, expect: int = 0, **extra: str) -> str:
        done = self.run(*words, **extra)
        assert done.returncode == expect, (
            f"llmdecl {' '.join(words)} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def apply(self) -> str:
        self.cli("lock")
        return self.cli("apply", "--yes")

    def status(self) -> dict:
        return json.loads(self.cli("status", "--json"))

    def model(self, name: str) -> dict:
        return next(m for m in self.status()["models"] if m["name"] == name)

    def processes(self) -> list[psutil.Process]:
        """Every live process that carries this stack's mark, by start time."""
        import hashlib

        state = (self.folder / "state").resolve()
        mark = hashlib.sha256(os.fsencode(state)).hexdigest()[:8]
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get("LLMDECL_STACK") == mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return sorted(found, key=lambda process: process.create_time())

    def pid(self, part: str) -> int | None:
        """The PID of `supervisord`, `router` or the model called `part`."""
        for process in self.processes():
            try:
                command, environment = process.cmdline(), process.environ()
            except psutil.NoSuchProcess:
                continue
            if part == "router":
                if "llmdecl.router" in command:
                    return process.pid
            elif part == "supervisord":
                if any("supervisord" in word for word in command) and any(
                    word.endswith("supervisord.conf") for word in command
                ):
                    return process.pid
            elif environment.get("LLMDECL_MODEL") == part:
                return process.pid
        return None

    def end(self) -> None:
        try:
            self.run("down", "--yes", timeout=60)
        except (AssertionError, subprocess.TimeoutExpired) as problem:
            print(f"down: {problem}")
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def stack():
    one = Stack()
    yield one
    one.end()


SPEC = """
version = 1

[host]
ram = "{ram}"
ram-margin = "512MiB"

[engines.llama]
kind = "llama.cpp"
provider = "path"
path = "{engine}"

[defaults]
ctx-size = 2048
threads = 2
ttl = "10m"

[models.smollm2]
source = "file:{smollm2}"
quantization = "Q4_1"
aliases = ["gpt-4o-mini"]

[models.gemma3]
source = "file:{gemma3}"
task = "completion"

[endpoints.main]
listen = "127.0.0.1:PORT"

[router]
drain-timeout = "90s"
queue-timeout = "60s"
min-residency = "1s"
"""


@pytest.fixture
def spec_text(llama_server, smollm2, gemma3):
    """The two-model spec with real parts; `ram` decides whether they coexist."""

    def text(ram: str = "4GiB") -> str:
        return SPEC.format(ram=ram, engine=llama_server, smollm2=smollm2, gemma3=gemma3)

    return text
