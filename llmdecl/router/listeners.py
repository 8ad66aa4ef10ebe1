"""Sockets that clients connect to; they outlive configurations that keep their address."""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llmdecl.router.config import EndpointConfig
from llmdecl.router.given import copies
from llmdecl.router.http.client import ClientConnection
from llmdecl.router.site import Site

if TYPE_CHECKING:
    from llmdecl.router.server import Server

_BACKLOG = 1024
Address = tuple[str, str, int]


def address(endpoint: EndpointConfig) -> Address:
    """What tells listeners apart: family, host or path, port."""
    if endpoint.path is not None:
        return ("unix", endpoint.path, 0)
    return ("tcp", endpoint.host or "127.0.0.1", endpoint.port or 0)


def shown(where: Address) -> str:
    """`unix:/run/x.sock`, `127.0.0.1:8080`, `[::1]:8080`."""
    kind, host, port = where
    if kind == "unix":
        return f"unix:{host}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listener:
    """The sockets of one endpoint. `site` is replaced when the configuration changes; what was
    `given` by systemd is its to remove."""

    def __init__(
        self, where: Address, site: Site, sockets: list[socket.socket], *, given: bool = False
    ) -> None:
        self.where = where
        self.site = site
        self.gone = False
        self.given = given
        self.sockets = sockets
        self._servers: list[asyncio.Server] = []

    async def serve(self, server: "Server") -> None:
        """Accept clients from now on."""
        for sock in self.sockets:
            serve = (
                server.loop.create_unix_server
                if self.where[0] == "unix"
                else server.loop.create_server
            )
            accepting = await serve(
                lambda: ClientConnection(server, self), sock=sock, backlog=_BACKLOG
            )
            self._servers.append(accepting)

    def stop(self) -> None:
        """Accept no more for now; the address is free soon after."""
        for server in self._servers:
            server.close()
        for sock in self.sockets:
            sock.close()
        self._servers, self.sockets = [], []

    async def reopen(self, server: "Server") -> None:
        """Undo `stop`."""
        self.sockets = sockets_of(server, self.where, self.site)
        await self.serve(server)

    def close(self) -> None:
        """Accept no more; connections go on."""
        self.gone = True
        self.stop()
        kind, path, _ = self.where
        if kind == "unix" and not self.given:
            with contextlib.suppress(OSError):
                Path(path).unlink()


def sockets_of(server: "Server", where: Address, site: Site) -> list[socket.socket]:
    """Those that systemd gave, or our own; raises OSError as `open_sockets` does."""
    if server.given is not None:
        return copies(server.given, site.endpoint.name, where)
    return open_sockets(where)


def open_sockets(where: Address) -> list[socket.socket]:
    """Bound and listening, so that clients queue from here on; raises OSError with the address."""
    kind, host, port = where
    try:
        return [_unix(host)] if kind == "unix" else _tcp(host, port)
    except OSError as error:
        raise OSError(error.errno, f"{shown(where)}: {error.strerror or error}") from error


def _tcp(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, target in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(target)
            sock.listen(_BACKLOG)
            sock.setblocking(False)  # noqa: FBT003  # the socket module's signature
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _unix(path: str) -> socket.socket:
    """Mode 0600 from the first instant; a socket file that nobody listens on any more goes."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        sock.bind(path)
        sock.listen(_BACKLOG)
        sock.setblocking(False)  # noqa: FBT003  # the socket module's signature
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            raise OSError(errno.EEXIST, "something else than a socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.settimeout(1)
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")


class Opening:
    """Opening listeners, all or none. A new address may overlap one that goes (`127.0.0.1:80` and
    `0.0.0.0:80`): then the old one stops first, and is opened again if the whole fails."""

    def __init__(self, server: "Server", going: list[Listener]) -> None:
        self._server = server
        self._going = going
        self._stopped: list[Listener] = []

    async def open(self, sites: Mapping[Address, Site]) -> list[Listener]:
        """Bound, but not yet accepting; raises OSError with the address."""
        opened: list[Listener] = []
        try:
            for where, site in sites.items():
                sockets = await self._open(where, site)
                given = self._server.given is not None
                opened.append(Listener(where, site, sockets, given=given))
        except OSError:
            for listener in opened:
                listener.close()
            for listener in self._stopped:
                await listener.reopen(self._server)
            raise
        return opened

    async def _open(self, where: Address, site: Site) -> list[socket.socket]:
        try:
            return sockets_of(self._server, where, site)
        except OSError as error:
            overlapping = [
                old for old in self._going if old.where[0] == "tcp" and old.where[2] == where[2]
            ]
            if error.errno != errno.EADDRINUSE or where[0] != "tcp" or not overlapping:
                raise
        for old in overlapping:
            self._stopped.append(old)
            self._going.remove(old)
            old.stop()
        await asyncio.sleep(0.01)  # the loop lets go of a socket in its next turn
        return open_sockets(where)
