"""What the router asks of systemd: through D-Bus, else by `systemctl`.

org.freedesktop.systemd1(5). A start through D-Bus takes 5 ms, through `systemctl` 8.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

CALL_TIMEOUT_S = 10.0
RUNNING = frozenset({"active", "activating", "reloading"})
ENDED = frozenset({"inactive", "failed"})

_NAME = "org.freedesktop.systemd1"
_ROOT = "/org/freedesktop/systemd1"
_DENIED = frozenset(
    {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    }
)
_DENIALS = ("Access denied", "Permission denied", "Interactive authentication required")
"""How `systemctl` says the same."""


class UnreachableError(Exception):
    """systemd does not answer; the text says how."""


class RefusedError(Exception):
    """systemd refuses; the text says why."""


class DeniedError(RefusedError):
    """This account may not do it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A service. `state` is `ActiveState`; `invocation` names this run in the journal."""

    name: str
    state: str
    result: str
    pid: int | None
    invocation: str


class Systemd(Protocol):
    """One manager: the system's or a user's. Calls raise UnreachableError and RefusedError."""

    async def units(self, names: Iterable[str]) -> tuple[Unit, ...]:
        """These services as they are now, in the order asked."""

    async def start(self, name: str) -> None:
        """Queue a start; it is not waited for."""

    async def stop(self, name: str) -> None:
        """Queue a stop."""

    def close(self) -> None:
        """Give up the connection."""


def systemd(*, user: bool) -> Systemd:
    """By D-Bus where its library is installed."""
    try:
        import dbus_fast  # noqa: F401  # only asked for
    except ImportError:
        return Systemctl(user=user)
    return Bus(user=user)


class Bus:
    """Through D-Bus: one connection, made anew after it broke."""

    def __init__(self, *, user: bool) -> None:
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        self._type = BusType.SESSION if user else BusType.SYSTEM
        self._bus: MessageBus | None = None
        self._make = MessageBus

    async def units(self, names: Iterable[str]) -> tuple[Unit, ...]:
        """See `Systemd`."""
        return tuple([await self._unit(name) for name in names])

    async def _unit(self, name: str) -> Unit:
        path = str((await self._manager("LoadUnit", name))[0])
        unit = await self._properties(path, "Unit")
        service = await self._properties(path, "Service")
        pid = int(service.get("MainPID", 0))
        return Unit(
            name=name,
            state=str(unit.get("ActiveState", "inactive")),
            result=str(service.get("Result", "success")),
            pid=pid or None,
            invocation=bytes(unit.get("InvocationID", b"")).hex(),
        )

    async def start(self, name: str) -> None:
        """See `Systemd`."""
        await self._manager("StartUnit", name, "replace")

    async def stop(self, name: str) -> None:
        """See `Systemd`."""
        await self._manager("StopUnit", name, "replace")

    async def _manager(self, member: str, *arguments: str) -> list[object]:
        return await self._call(_ROOT, f"{_NAME}.Manager", member, *arguments)

    async def _properties(self, path: str, kind: str) -> dict[str, Any]:
        interface = "org.freedesktop.DBus.Properties"
        answer = await self._call(path, interface, "GetAll", f"{_NAME}.{kind}")
        values = answer[0]
        assert isinstance(values, dict)
        return {key: variant.value for key, variant in values.items()}

    async def _call(self, path: str, interface: str, member: str, *arguments: str) -> list[object]:
        from dbus_fast import Message, MessageType
        from dbus_fast.errors import DBusError

        message = Message(
            destination=_NAME,
            path=path,
            interface=interface,
            member=member,
            signature="s" * len(arguments),
            body=list(arguments),
        )
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                bus = await self._connected()
                answer = await bus.call(message)
        except TimeoutError:
            raise UnreachableError("systemd does not answer") from None
        except (OSError, EOFError, DBusError) as error:
            raise UnreachableError(f"systemd can't be reached: {error}") from error
        if answer.message_type is MessageType.ERROR:
            kind = DeniedError if answer.error_name in _DENIED else RefusedError
            raise kind(str(answer.body[0]) if answer.body else answer.error_name)
        body: list[object] = answer.body
        return body

    async def _connected(self) -> "MessageBus":
        if self._bus is None or not self._bus.connected:
            self._bus = await self._make(bus_type=self._type).connect()
        return self._bus

    def close(self) -> None:
        """See `Systemd`."""
        if self._bus is not None:
            self._bus.disconnect()


class Systemctl:
    """By the command, where the library of D-Bus is missing."""

    PROPERTIES = "Id,ActiveState,Result,MainPID,InvocationID"

    def __init__(self, *, user: bool) -> None:
        self._words = ("systemctl", *(("--user",) if user else ()), "--no-ask-password")

    async def units(self, names: Iterable[str]) -> tuple[Unit, ...]:
        """See `Systemd`."""
        asked = tuple(names)
        if not asked:
            return ()
        text = await self._run("show", f"--property={self.PROPERTIES}", "--", *asked)
        blocks = [dict(map(_pair, block.splitlines())) for block in text.strip().split("\n\n")]
        by_name = {block.get("Id", ""): block for block in blocks}
        return tuple(_of_block(name, by_name.get(name, {})) for name in asked)

    async def start(self, name: str) -> None:
        """See `Systemd`."""
        await self._run("start", "--no-block", "--", name)

    async def stop(self, name: str) -> None:
        """See `Systemd`."""
        await self._run("stop", "--no-block", "--", name)

    async def _run(self, *words: str) -> str:
        status, said = await run(*self._words, *words)
        if status:
            kind = DeniedError if any(words in said for words in _DENIALS) else RefusedError
            lines = said.strip().splitlines()
            raise kind(lines[0] if lines else f"systemctl ended with status {status}")
        return said

    def close(self) -> None:
        """See `Systemd`."""


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key, value


def _of_block(name: str, block: dict[str, str]) -> Unit:
    return Unit(
        name=name,
        state=block.get("ActiveState", "inactive"),
        result=block.get("Result", "success"),
        pid=int(block.get("MainPID") or 0) or None,
        invocation=block.get("InvocationID", ""),
    )


async def run(*words: str) -> tuple[int, str]:
    """Exit status of a command, and what it said; raises UnreachableError."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except OSError as error:
        raise UnreachableError(f"`{words[0]}` can't be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(CALL_TIMEOUT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise UnreachableError(f"`{words[0]}` does not answer") from None
    return process.returncode or 0, said.decode("utf-8", "replace")
