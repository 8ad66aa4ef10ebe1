"""The control socket: HTTP/1.1 with JSON for `apply`, `status` and their like.

One request a connection. Who may open the socket (mode 0600 in a folder of mode 0700) may do
anything; there is no other check. Long operations answer when they are done.
"""

import asyncio
import contextlib
import logging
import os
import socket as sockets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import httptools
import msgspec

from llmdecl.router.operator import NoSuchModelError, Operator
from llmdecl.router.ports import Refused
from llmdecl.router.reload import ConfigError, Reloader

log = logging.getLogger("llmdecl.router")

REQUEST_BYTES = 64 << 10
REQUEST_TIMEOUT_S = 10.0

Answer = tuple[int, Mapping[str, object]]


class AnotherRouterError(Exception):
    """A live router answers on the control socket already."""


class Control:
    """Answers on `{run}/router.sock`."""

    def __init__(
        self,
        path: Path,
        *,
        operator: Operator,
        reloader: Reloader,
        status: Callable[[], Mapping[str, object]],
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        self._path = path
        self._operator = operator
        self._reloader = reloader
        self._status = status
        self._drain_all = drain
        self._inode: int | None = None
        self._server: asyncio.Server | None = None
        self._socket: sockets.socket | None = None

    def claim(self) -> None:
        """Bind the socket, so that there is one router. Raises AnotherRouterError, OSError."""
        if _answers(self._path):
            raise AnotherRouterError(f"another router answers on {self._path}")
        self._path.unlink(missing_ok=True)
        self._socket = sockets.socket(sockets.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(mask)
        self._socket.listen(64)
        self._inode = self._path.stat().st_ino

    async def start(self) -> None:
        """Answer from now on; who connected since `claim` was waiting."""
        self._server = await asyncio.start_unix_server(self._serve, sock=self._socket)

    def close(self) -> None:
        """Stop answering, and remove the socket if it is still ours."""
        if self._server is not None:
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            if self._inode is not None and self._path.stat().st_ino == self._inode:
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await _read(reader)
            if request is None:
                return
            status, body = await self._answer(*request)
            writer.write(_render(status, body))
            await writer.drain()
        except (OSError, TimeoutError):
            pass  # who asked is gone
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, method: str, target: str) -> Answer:
        route = self._route(target)
        if route is None:
            return 404, {"error": f"no such thing: {target}"}
        allowed, act = route
        if method != allowed:
            return 405, {"error": f"{target} takes {allowed}"}
        try:
            return 200, await act()
        except NoSuchModelError as error:
            return 404, {"error": f"no model is called `{error}`"}
        except ConfigError as error:
            return 400, {"error": str(error)}
        except Refused as refused:
            return refused.status, {"error": refused.reason, "log_tail": refused.log_tail}
        except Exception:
            log.exception("%s %s failed", method, target)
            return 500, {"error": "the router failed; its log says how"}

    def _route(
        self, target: str
    ) -> tuple[str, Callable[[], Awaitable[Mapping[str, object]]]] | None:
        match target.split("/")[1:]:
            case ["status"]:
                return "GET", self._get_status
            case ["reload"]:
                return "POST", self._reload
            case ["drain"]:
                return "POST", self._drain
            case ["models", name, verb] if verb in _VERBS:

                async def act() -> Mapping[str, object]:
                    await _VERBS[verb](self._operator, name)
                    return {}

                return "POST", act
            case _:
                return None

    async def _get_status(self) -> Mapping[str, object]:
        return self._status()

    async def _reload(self) -> Mapping[str, object]:
        return {"config_sha256": await self._reloader.reload()}

    async def _drain(self) -> Mapping[str, object]:
        await self._drain_all()
        return {}


_VERBS: Mapping[str, Callable[[Operator, str], Awaitable[None]]] = {
    "hold": Operator.hold,
    "release": Operator.release,
    "start": Operator.start,
    "stop": Operator.stop,
    "restart": Operator.restart,
}


class _Parsed:
    """What httptools calls while it reads one request; the body is not used."""

    def __init__(self) -> None:
        self.target = b""
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_message_complete(self) -> None:
        self.complete = True


async def _read(reader: asyncio.StreamReader) -> tuple[str, str] | None:
    """Method and path of a whole request; `None` for anything else."""
    parsed = _Parsed()
    parser = httptools.HttpRequestParser(parsed)
    size = 0
    while not parsed.complete:
        data = await reader.read(REQUEST_BYTES)
        size += len(data)
        if not data or size > REQUEST_BYTES:
            return None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return None
    return parser.get_method().decode("latin-1"), parsed.target.decode("latin-1")


def _render(status: int, body: Mapping[str, object]) -> bytes:
    content = msgspec.json.encode(body)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _answers(path: Path) -> bool:
    """Whether somebody listens there; a killed router's socket refuses."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True
