"""Sockets that systemd listens on and hands over: sd_listen_fds(3)."""

import errno
import os
import socket
from collections.abc import Mapping, MutableMapping

FIRST = 3
Given = Mapping[str, list[socket.socket]]


def given_sockets(environment: MutableMapping[str, str] = os.environ) -> Given:
    """Listening sockets by their names; none when they are meant for another process.

    The variables are taken out of `environment`, since they tell children nothing true.
    """
    pid, count, joined = (
        environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for fd, name in zip(range(FIRST, FIRST + int(count)), joined.split(":"), strict=False):
        os.set_inheritable(fd, False)  # noqa: FBT003  # the os module's signature
        found.setdefault(name, []).append(socket.socket(fileno=fd))
    return found


def copies(given: Given, name: str, where: tuple[str, str, int]) -> list[socket.socket]:
    """Those of one endpoint, for the taking: the given ones stay open, so that nobody who connects
    is refused while the router is replaced. Raises OSError when they listen elsewhere, or nobody
    does."""
    kind, host, port = where
    sockets = given.get(name, [])
    if not sockets:
        raise OSError(
            errno.ENOTCONN,
            f"systemd has no socket for endpoint `{name}`"
            f" (`systemctl status llmdecl-endpoint-{name}.socket`)",
        )
    for each in sockets:
        own = each.getsockname()
        if own != host if kind == "unix" else own[1] != port:
            shown = own if kind == "unix" else f"port {own[1]}"
            raise OSError(
                errno.EADDRNOTAVAIL,
                f"systemd listens on {shown} for endpoint `{name}`: restart its socket",
            )
    taken = [each.dup() for each in sockets]
    for each in taken:
        each.setblocking(False)  # noqa: FBT003  # the socket module's signature
    return taken
