"""Sockets that systemd listens on for the router: systemd.socket(5)."""

import ipaddress
from collections.abc import Iterator

from llmdecl.emit.dialects.systemd import section
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import Mode
from llmdecl.emit.systemd.sandbox import Directive
from llmdecl.plan.model import Address, EndpointPlan

BACKLOG = 1024


def of_endpoint(endpoint: EndpointPlan, mode: Mode) -> str:
    """One unit an endpoint, because its name is what the router knows the socket by."""
    unit = (("Description", f"llmdecl: endpoint {endpoint.name}"), ("PartOf", names.TARGET))
    return "\n".join((section("Unit", unit), section("Socket", _socket(endpoint, mode))))


def _socket(endpoint: EndpointPlan, mode: Mode) -> Iterator[Directive]:
    yield "FileDescriptorName", endpoint.name
    yield "Service", names.ROUTER
    yield from listening(endpoint.listen, mode)


def listening(where: Address, mode: Mode) -> Iterator[Directive]:
    """Where to listen; a unix socket is the account's alone, as the router would make it."""
    yield "ListenStream", shown(where)
    yield "Backlog", str(BACKLOG)
    if where.path is not None:
        yield "SocketMode", "0600"
        if not mode.user:
            yield "SocketUser", names.ACCOUNT
            yield "SocketGroup", names.ACCOUNT
    elif not _is_always_there(numeric(where.host)):
        yield "FreeBind", "yes"


def shown(where: Address) -> str:
    """`127.0.0.1:8080`, `[::1]:8080`, `/run/llm.sock`."""
    if where.path is not None:
        return where.path.replace("%", "%%")  # no other character has a meaning here
    host = numeric(where.host)
    return f"[{host}]:{where.port}" if ":" in host else f"{host}:{where.port}"


def numeric(host: str | None) -> str:
    """It looks up no names; the spec's checks let just `localhost` through."""
    return "127.0.0.1" if host in (None, "localhost") else str(host)


def _is_always_there(host: str) -> bool:
    """Whether an address can be bound before the network is up."""
    address = ipaddress.ip_address(host)
    return address.is_loopback or address.is_unspecified
