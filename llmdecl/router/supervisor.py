"""supervisord's XML-RPC interface over its unix socket, without threads.

One connection a call: a call takes 1 to 9 ms, most of it supervisord's own.
"""

import asyncio
import os
import xmlrpc.client  # answers come from our own supervisord, over a private socket
from dataclasses import dataclass
from xml.parsers.expat import ExpatError

CALL_TIMEOUT_S = 10.0
_ANSWER_BYTES = 4 << 20

NOT_RUNNING = 70
BAD_NAME = 10
ALREADY_STARTED = 60
SHUTTING_DOWN = 6


class UnreachableError(Exception):
    """supervisord does not answer; the text says how."""


class FaultError(Exception):
    """supervisord refused: `code` as in `supervisor.xmlrpc.Faults`."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """A program as supervisord knows it; exits are reported up to 1 s late unless it is asked.

    `state` is supervisord's word: STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL UNKNOWN.
    """

    name: str
    state: str
    pid: int | None
    exit_status: int


STARTABLE = frozenset({"STOPPED", "EXITED", "FATAL"})
"""In these a start starts something; while STOPPING it returns True and starts nothing."""


class Supervisor:
    """The calls that the router needs."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    async def programs(self) -> tuple[ProgramInfo, ...]:
        """All programs. Raises UnreachableError."""
        rows = await self._call("supervisor.getAllProcessInfo")
        if not isinstance(rows, list):
            raise UnreachableError("supervisord answered something else than a list")
        return tuple(_info(row) for row in rows)

    async def info(self, program: str) -> ProgramInfo:
        """One program; asking also makes supervisord reap. Raises FaultError, UnreachableError."""
        return _info(await self._call("supervisor.getProcessInfo", program))

    async def start(self, program: str) -> None:
        """Start without waiting. Raises FaultError, UnreachableError."""
        await self._call("supervisor.startProcess", program, False)  # noqa: FBT003  # RPC order

    async def stop(self, program: str) -> None:
        """Send TERM without waiting. Raises FaultError, UnreachableError."""
        await self._call("supervisor.stopProcess", program, False)  # noqa: FBT003  # RPC order

    async def _call(self, method: str, *arguments: str | bool) -> object:
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer = await _post(self._socket, xmlrpc.client.dumps(arguments, method).encode())
            values, _ = xmlrpc.client.loads(answer)
        except xmlrpc.client.Fault as fault:
            raise FaultError(fault.faultCode, fault.faultString) from None
        except TimeoutError:
            raise UnreachableError("supervisord does not answer") from None
        except OSError as error:
            raise UnreachableError(f"supervisord can't be reached: {os_text(error)}") from error
        except (EOFError, ValueError, ExpatError, asyncio.LimitOverrunError) as error:
            raise UnreachableError(f"supervisord's answer can't be read: {error}") from error
        return values[0]


def os_text(error: OSError) -> str:
    """What the system says, without number and path."""
    return error.strerror or os.strerror(error.errno or 0)


async def _post(socket: str, body: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(socket, limit=_ANSWER_BYTES)
    try:
        writer.write(
            b"POST /RPC2 HTTP/1.1\r\nHost: supervisord\r\nContent-Type: text/xml\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if status.split(" ")[1:2] != ["200"]:
            raise ValueError(status)
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        if "content-length" in fields:
            return await reader.readexactly(int(fields["content-length"]))
        return await reader.read()
    finally:
        writer.close()


def _info(row: object) -> ProgramInfo:
    if not isinstance(row, dict):
        raise UnreachableError("supervisord described a program as something else than a struct")
    pid = row.get("pid")
    return ProgramInfo(
        str(row.get("name")),
        str(row.get("statename")),
        pid if isinstance(pid, int) and pid > 0 else None,
        int(row.get("exitstatus") or 0),
    )
