"""What an endpoint's `listen` means. Pure."""

import ipaddress
import re
from dataclasses import dataclass

MAX_SOCKET_PATH_BYTES = 107
"""What Python can dial of the 108 bytes of `sockaddr_un.sun_path`, with its final NUL."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Listen:
    """`host` (IPv6 without brackets) and `port` of a TCP listener, or a unix socket's `path`."""

    host: str | None = None
    port: int | None = None
    path: str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host is None:
            return True
        address = self._ip()
        return self.host.lower() == "localhost" if address is None else address.is_loopback

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up."""
        return self.host is not None and self._ip() is None

    def overlaps(self, other: "Listen") -> bool:
        """Whether both can't listen at the same time; `[::]` is taken to include IPv4."""
        if self.path is not None or other.path is not None:
            return self.path == other.path
        if self.port != other.port:
            return False
        mine, its = self._hosts(), other._hosts()
        return bool(mine & its) or _covers(mine, its) or _covers(its, mine)

    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host or "")
        except ValueError:
            return None

    def _hosts(self) -> frozenset[str]:
        address = self._ip()
        if address is not None:
            return frozenset({str(address)})
        name = (self.host or "").lower()
        return frozenset({"127.0.0.1", "::1"} if name == "localhost" else {name})


def _covers(hosts: frozenset[str], others: frozenset[str]) -> bool:
    """Whether `hosts` is a wildcard that takes some of the `others`."""
    if "::" in hosts:
        return True
    return "0.0.0.0" in hosts and any(":" not in host for host in others)  # noqa: S104  # compared


def parse_listen(text: str) -> Listen:
    """`127.0.0.1:8080`, `localhost:8080`, `[::1]:8080`, `unix:/run/llm.sock`.

    Raises ValueError, whose text says what is wrong with it.
    """
    if text.startswith("unix:"):
        return _socket(text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(
            "a host without a port" if not text.isdecimal() else "a port without a host"
        )
    if not host:
        raise ValueError("a port without a host")
    if host.startswith("[") and host.endswith("]"):
        host = _ipv6(host[1:-1])
    elif ":" in host:
        raise ValueError("an IPv6 address without brackets" if "://" not in text else "a URL")
    elif not _HOST.fullmatch(host):
        raise ValueError(f"`{host}` is no host")
    elif re.fullmatch(r"[0-9.]+", host):
        _ipv4(host)
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"`{port}` is no port from 1 to 65535")
    return Listen(host=host, port=int(port))


def _ipv4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise ValueError(f"`{host}` is no IPv4 address") from None


def _ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise ValueError(f"`{host}` is no IPv6 address") from None


def _socket(path: str) -> Listen:
    if not path.startswith("/") or path.endswith("/"):
        raise ValueError("the path of a socket is absolute and names a file")
    if len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"the path of a socket has at most {MAX_SOCKET_PATH_BYTES} bytes")
    return Listen(path=path)
