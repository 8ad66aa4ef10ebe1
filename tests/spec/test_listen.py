"""Addresses of endpoints."""

import pytest

from llmdecl.plan.endpoints import listen_address
from llmdecl.spec.listen import Listen, parse_listen


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("localhost:1", Listen("localhost", 1)),
        ("[::1]:443", Listen("::1", 443)),
        ("[0:0::1]:443", Listen("::1", 443)),
        ("atlas.example:65535", Listen("atlas.example", 65535)),
        ("unix:/run/a b.sock", Listen(path="/run/a b.sock")),
    ],
)
def test_addresses(text, listen):
    """TCP on a named host, IPv6 in brackets, absolute sockets; the plan reads them the same way."""
    assert listen == parse_listen(text)
    planned = listen_address(text)
    assert (planned.port, planned.path) == (listen.port, listen.path)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", False),
        ("127.0.0.1:1", "127.0.0.1:2", True),
        ("127.0.0.1:1", "127.0.0.2:1", True),
        ("127.0.0.1:1", "0.0.0.0:1", False),
        ("localhost:1", "127.0.0.1:1", False),
        ("localhost:1", "[::1]:1", False),
        ("LOCALHOST:1", "localhost:1", False),
        ("127.0.0.1:1", "[::1]:1", True),
        ("0.0.0.0:1", "[::1]:1", True),
        ("[::]:1", "127.0.0.1:1", False),
        ("[::]:1", "0.0.0.0:1", False),
        ("[::]:1", "[0::0]:1", False),
        ("0.0.0.0:1", "atlas:1", False),
        ("unix:/a", "unix:/a", False),
        ("unix:/a", "unix:/b", True),
        ("unix:/a", "127.0.0.1:1", True),
    ],
)
def test_who_can_listen_beside_whom(one, other, both):
    """A wildcard takes its port on every address; `[::]` takes IPv4 as well."""
    first, second = parse_listen(one), parse_listen(other)
    assert both == (not first.overlaps(second))
    assert both == (not second.overlaps(first))


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/a", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.168.1.2:1", False),
        ("atlas:1", False),
    ],
)
def test_loopback(text, closed):
    """Only addresses of this machine are closed."""
    assert closed == parse_listen(text).is_loopback
