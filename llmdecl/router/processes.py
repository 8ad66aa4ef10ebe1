"""Processes of models, whoever keeps them: their exits are seen through pidfds."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from llmdecl.router import engine_http
from llmdecl.router.config import ModelConfig

_POLL_S = 0.05


class Processes:
    """What is the same under every manager: signals, exits, sockets, marks."""

    def __init__(self, run: Path, *, stack: str | None) -> None:
        self._run = run
        self._stack = stack
        self._pidfds = dict[int, int]()

    def nudge(self) -> None:
        """A process has ended: the manager may want to be told."""

    def kill(self, pid: int) -> None:
        """See `World`."""
        self.signal(pid, signal.SIGKILL)

    def signal(self, pid: int, number: signal.Signals) -> None:
        """To a watched process, which its pidfd names beyond doubt."""
        with contextlib.suppress(ProcessLookupError):
            if pid in self._pidfds:
                signal.pidfd_send_signal(self._pidfds[pid], number)
            elif self.digest(pid) is not None:
                os.kill(pid, number)

    def watch(self, pid: int, gone: Callable[[], None]) -> None:
        """See `World`. Seen within a millisecond or so; without pidfds within 50 ms."""
        loop = asyncio.get_running_loop()
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            loop.call_soon(gone)
            return
        except (AttributeError, OSError):
            self._poll_exit(pid, gone)
            return

        def ended() -> None:
            loop.remove_reader(fd)
            self._pidfds.pop(pid, None)
            os.close(fd)
            self.nudge()
            gone()

        self._pidfds[pid] = fd
        loop.add_reader(fd, ended)

    def _poll_exit(self, pid: int, gone: Callable[[], None]) -> None:
        if is_alive(pid):
            asyncio.get_running_loop().call_later(_POLL_S, self._poll_exit, pid, gone)
        else:
            self.nudge()
            gone()

    async def healthy(self, socket: str) -> bool:
        """See `World`."""
        return await engine_http.healthy(socket)

    async def busy_slots(self, socket: str) -> int | None:
        """See `World`."""
        return await engine_http.busy_slots(socket)

    def digest(self, pid: int) -> str | None:
        """See `World`."""
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        pairs = (item.partition(b"=") for item in raw.split(b"\0"))
        environment = {key: value.decode("utf-8", "replace") for key, _, value in pairs}
        if self._stack is not None and environment.get(b"LLMDECL_STACK") != self._stack:
            return None
        return environment.get(b"LLMDECL_DIGEST")

    def socket(self, model: ModelConfig) -> str:
        """See `World`."""
        return str(self._run / model.socket)

    def close(self) -> None:
        """Give up the pidfds; the processes live on."""
        loop = asyncio.get_running_loop()
        for fd in self._pidfds.values():
            loop.remove_reader(fd)
            os.close(fd)
        self._pidfds.clear()


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie: a zombie's memory is free already."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return False
    return state[:1] not in (["Z"], ["X"])
