"""The world as it is: models are programs of supervisord."""

import asyncio
import contextlib
import os
import signal
import socket as sockets
import stat
from collections.abc import Mapping
from pathlib import Path

from llmdecl.engines.llama_cpp.load_log import last_start
from llmdecl.router.config import ModelConfig
from llmdecl.router.processes import Processes, is_alive
from llmdecl.router.supervisor import (
    ALREADY_STARTED,
    SHUTTING_DOWN,
    STARTABLE,
    FaultError,
    ProgramInfo,
    Supervisor,
    UnreachableError,
    os_text,
)
from llmdecl.router.world import StartError

SETTLE_S = 8.0
"""How long a start waits for supervisord to have reaped the process before: 5 s of
`stopwaitsecs`, then KILL, then its loop."""

BURIED_S = 0.5
"""How long the report of a failed start waits for supervisord to have written the log's end."""

LOAD_BYTES = 1 << 20
"""Loading writes some 20 KiB."""

SEARCHED_BYTES = 4 << 20
TAIL_BYTES = 4096
TAIL_LINES = 20
_POLL_S = 0.05
_REAP_S = 0.002


class SupervisedWorld(Processes):
    """Models of one run folder under one supervisord."""

    def __init__(self, run: Path, logs: Path, *, stack: str | None) -> None:
        super().__init__(run, stack=stack)
        self._logs = logs
        self._supervisor = Supervisor(str(run / "supervisord.sock"))
        self._log_starts = dict[str, int]()
        self._nudges = set[asyncio.Task[None]]()

    async def running(self) -> Mapping[str, int]:
        """See `World`."""
        try:
            programs = await self._supervisor.programs()
        except (UnreachableError, FaultError) as error:
            raise StartError(str(error), unavailable=True) from error
        return {p.name: p.pid for p in programs if p.pid is not None and is_alive(p.pid)}

    async def start(self, model: ModelConfig) -> int:
        """See `World`. Adopts the program if somebody else started it as it should be."""
        try:
            async with asyncio.timeout(SETTLE_S):
                while True:
                    pid = await self._start_once(model)
                    if pid is not None:
                        return pid
        except UnreachableError as error:
            raise StartError(str(error), unavailable=True) from error
        except FaultError as fault:
            unavailable = fault.code == SHUTTING_DOWN
            raise StartError(f"supervisord: {fault}", unavailable=unavailable) from fault
        except TimeoutError:
            reason = f"supervisord does not let go of `{model.program}`"
            raise StartError(reason, unavailable=True) from None

    async def _start_once(self, model: ModelConfig) -> int | None:
        """One attempt; `None` when supervisord was not in the state for it."""
        before = await self._startable(model)
        if isinstance(before, int):
            return before
        self._unlink_stale(self.socket(model))
        self._log_starts[model.program] = self._log_size(model.program)
        try:
            await self._supervisor.start(model.program)
        except FaultError as fault:
            if fault.code == ALREADY_STARTED:
                return None
            raise
        after = await self._supervisor.info(model.program)
        if after.pid is not None:
            return after.pid
        if after.state in {"EXITED", "FATAL", "BACKOFF"}:
            raise StartError(f"the process ended at once with status {after.exit_status}")
        return None

    async def _startable(self, model: ModelConfig) -> ProgramInfo | int:
        """The program in a state from which a start starts something, or the pid of a process
        that already is what `model` asks for. Each question makes supervisord reap."""
        pause = 0.005
        while True:
            info = await self._supervisor.info(model.program)
            if info.state in STARTABLE:
                return info
            if info.state in {"RUNNING", "STARTING"} and info.pid is not None:
                if is_alive(info.pid) and self.digest(info.pid) == model.digest:
                    return info.pid
                with contextlib.suppress(FaultError):
                    await self._supervisor.stop(model.program)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_S)

    def _unlink_stale(self, path: str) -> None:
        """Remove what a dead process left; raises StartError when a live one answers there."""
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise StartError("its socket's place is taken by something else")
        except FileNotFoundError:
            return
        with sockets.socket(sockets.AF_UNIX) as probe:
            probe.settimeout(0)
            try:
                probe.connect(path)
            except (ConnectionRefusedError, FileNotFoundError):
                with contextlib.suppress(FileNotFoundError):
                    Path(path).unlink()
            except OSError as error:
                raise StartError(f"its socket can't be examined: {os_text(error)}") from error
            else:
                raise StartError(
                    "a process that supervisord does not know serves its socket;"
                    " `llmdecl apply` ends it"
                )

    async def stop(self, model: ModelConfig, pid: int) -> None:
        """See `World`. Signals the process itself where supervisord can't or does not know it."""
        try:
            info = await self._supervisor.info(model.program)
            if info.pid == pid:
                await self._supervisor.stop(model.program)
                return
        except (UnreachableError, FaultError):
            pass
        self.signal(pid, signal.SIGTERM)

    def nudge(self) -> None:
        """Any call makes supervisord reap now instead of within a second."""

        async def nudge() -> None:
            with contextlib.suppress(UnreachableError, FaultError):
                await self._supervisor.programs()

        task = asyncio.get_running_loop().create_task(nudge())
        self._nudges.add(task)
        task.add_done_callback(self._nudges.discard)

    async def buried(self, model: ModelConfig, pid: int) -> None:
        """See `World`. supervisord reads the pipe to its end before it forgets the pid."""
        with contextlib.suppress(UnreachableError, FaultError, TimeoutError):
            async with asyncio.timeout(BURIED_S):
                while (await self._supervisor.info(model.program)).pid == pid:
                    await asyncio.sleep(_REAP_S)

    def _log_size(self, program: str) -> int:
        try:
            return (self._logs / f"{program}.log").stat().st_size
        except OSError:
            return 0

    async def load_log(self, program: str) -> str:
        """See `World`. Read in a thread."""
        start = self._log_starts.get(program)
        return await asyncio.to_thread(load_log, self._logs / f"{program}.log", start)

    def log_tail(self, program: str) -> str:
        """See `World`. At most 20 lines; a log that was rotated is read from its beginning."""
        try:
            with (self._logs / f"{program}.log").open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                start = self._log_starts.get(program, 0)
                log.seek(max(start if start <= size else 0, size - TAIL_BYTES))
                text = log.read(TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])


def load_log(path: Path, start: int | None) -> str:
    """A log from the byte where a start began; a rotated one from its beginning.

    An adopted process began where its engine's first line was last written.
    """
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            if start is None:
                log.seek(max(0, size - SEARCHED_BYTES))
                return last_start(log.read(SEARCHED_BYTES).decode("utf-8", "replace"))
            log.seek(start if start <= size else 0)
            return log.read(LOAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
