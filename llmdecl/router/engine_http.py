"""The two questions that the lifecycle itself asks a model server, over its unix socket."""

import asyncio

import msgspec

PROBE_TIMEOUT_S = 2.0
_ANSWER_BYTES = 16 << 20


class _Slot(msgspec.Struct):
    is_processing: bool = False


async def healthy(socket: str) -> bool:
    """Whether `GET /health` answers 200; it is 503 while the model loads."""
    status, _ = await _get(socket, b"/health", body=False)
    return status == 200


async def busy_slots(socket: str) -> int | None:
    """Slots that compute, by `GET /slots`; 0 where that is switched off, `None` without an answer.

    When none computes, no request waits for a slot either.
    """
    status, body = await _get(socket, b"/slots", body=True)
    if status != 200:
        return None if status is None or status == 503 else 0
    try:
        slots = msgspec.json.decode(body, type=list[_Slot])
    except msgspec.DecodeError:
        return 0
    return sum(slot.is_processing for slot in slots)


async def _get(socket: str, target: bytes, *, body: bool) -> tuple[int | None, bytes]:
    """Status and body; status `None` when nothing that can be read came in time."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(socket, limit=_ANSWER_BYTES)
            try:
                writer.write(
                    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target
                )
                head = await reader.readuntil(b"\r\n\r\n")
                status, *lines = head.decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(":", 1) for line in lines if ":" in line)
                length = int(fields.get("content-length", "0"))
                content = await reader.readexactly(length) if body else b""
                return int(status.split(" ")[1]), content
            finally:
                writer.close()
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
        return None, b""
