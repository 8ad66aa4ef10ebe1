"""What a unit runs until its model answers."""

import http.server
import os
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest

from llmdecl.router.ready import await_path, await_socket


@pytest.fixture
def sleeper():
    """A process that does nothing for long."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


class Healthy(http.server.BaseHTTPRequestHandler):
    """A model that is ready."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"


def test_ready(tmp_path, sleeper):
    """A model that answers is ready, also when it comes later."""
    path = str(tmp_path / "s")
    server = socketserver.UnixStreamServer(path, Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert await_socket(path, 5, sleeper.pid) is None
    server.shutdown()
    server.server_close()


def test_nobody_waits_for_a_process_that_has_ended(tmp_path, sleeper):
    """Neither for one that ends meanwhile, nor for one that was gone before; else the unit would
    be `activating` until the time is over."""
    path, began = str(tmp_path / "s"), time.monotonic()
    threading.Timer(0.2, os.kill, (sleeper.pid, signal.SIGKILL)).start()
    assert f"process {sleeper.pid} ended" in await_socket(path, 30, sleeper.pid)
    sleeper.wait()
    assert f"process {sleeper.pid} ended" in await_socket(path, 30, sleeper.pid)
    assert time.monotonic() - began < 15


def test_not_in_time(tmp_path, sleeper):
    """The time is named."""
    assert "after 0.1 s" in await_socket(str(tmp_path / "s"), 0.1, sleeper.pid)
    assert "after 0.1 s" in await_path(str(tmp_path / "s"), 0.1)
    assert await_path(str(tmp_path), 0.1) is None
