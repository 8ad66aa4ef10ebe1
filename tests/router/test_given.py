"""Sockets that come from systemd."""

import os
import socket

import pytest

from llmdecl.router import given
from llmdecl.router.given import copies, given_sockets


@pytest.fixture
def handed_over(monkeypatch):
    """A listening socket where systemd's first would be, and what the environment says of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        fd = os.dup(server.fileno())
        monkeypatch.setattr(given, "FIRST", fd)
        port = server.getsockname()[1]
        yield port, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "main"}


def test_a_socket_is_taken_by_its_name(handed_over):
    """By name and port, as a copy; the variables are gone afterwards."""
    port, environment = handed_over
    found = given_sockets(environment)
    assert {} == environment
    (copy,) = copies(found, "main", ("tcp", "127.0.0.1", port))
    assert copy.getsockname() == ("127.0.0.1", port)
    copy.close()
    assert found["main"][0].fileno() >= 0
    with pytest.raises(OSError, match=f"port {port}"):
        copies(found, "main", ("tcp", "127.0.0.1", port + 1))
    with pytest.raises(OSError, match="systemd has no socket for endpoint `other`"):
        copies(found, "other", ("tcp", "127.0.0.1", port))
    found["main"][0].close()


def test_what_is_for_another_process_is_left(handed_over):
    """A parent's variables mean nothing."""
    _, environment = handed_over
    assert {} == given_sockets({**environment, "LISTEN_PID": "1"})
    os.close(given.FIRST)
