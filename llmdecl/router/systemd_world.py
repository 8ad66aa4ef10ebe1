"""The world as it is: models are services of systemd, their words are in the journal.

A confined router sees nothing of a confined model below `/proc`, because each has a user namespace
of its own: which process it is, is said by systemd, and what it was started as by the file `digest`
in its runtime directory, which its unit writes before each start.
"""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path

from llmdecl.engines.llama_cpp.load_log import last_start
from llmdecl.router.config import ModelConfig
from llmdecl.router.processes import Processes
from llmdecl.router.systemd import (
    ENDED,
    RUNNING,
    DeniedError,
    RefusedError,
    Systemd,
    Unit,
    UnreachableError,
    run,
    systemd,
)
from llmdecl.router.world import StartError

MODEL_PROGRAM = "model-"
SETTLE_S = 15.0
"""How long a start waits for the process before to be gone, and for the new one to have a pid."""

NO_RIGHT = " (polkit has to run, with the rule `49-llmdecl.rules`)"

BURIED_S = 0.5
TAIL_LINES = 20
LOAD_LINES = 4000
_POLL_S = 0.01


class SystemdWorld(Processes):
    """Models of one manager: `programs` are those that the configuration may name."""

    def __init__(self, run_folder: Path, *, user: bool) -> None:
        super().__init__(run_folder, stack=None)
        self._user = user
        self._systemd: Systemd = systemd(user=user)
        self._names = set[str]()
        self._programs = dict[int, str]()
        self._tails = dict[str, str]()

    def expect(self, models: tuple[ModelConfig, ...]) -> None:
        """The models that there may be."""
        self._names |= {model.program for model in models}

    async def running(self) -> Mapping[str, int]:
        """See `World`."""
        names = sorted(self._names)
        try:
            units = await self._systemd.units(map(unit_of, names))
        except (UnreachableError, RefusedError) as error:
            raise StartError(str(error), unavailable=True) from error
        pairs = zip(names, units, strict=True)
        found = {name: unit.pid for name, unit in pairs if unit.pid is not None}
        self._programs |= {pid: name for name, pid in found.items()}
        return found

    def digest(self, pid: int) -> str | None:
        """See `World`."""
        program = self._programs.get(pid)
        if program is None:
            return None
        folder = self._run / program.removeprefix(MODEL_PROGRAM)
        try:
            return (folder / "digest").read_text("ascii")
        except (OSError, ValueError):
            return None

    async def start(self, model: ModelConfig) -> int:
        """See `World`. Adopts the service if somebody else started it as it should be."""
        self._names.add(model.program)
        self._tails.pop(model.program, None)
        try:
            async with asyncio.timeout(SETTLE_S):
                pid = await self._startable(model)
                return pid if pid is not None else await self._started(model)
        except UnreachableError as error:
            raise StartError(str(error), unavailable=True) from error
        except DeniedError as error:
            raise StartError(f"systemd: {error}{NO_RIGHT}", unavailable=True) from error
        except RefusedError as error:
            raise StartError(f"systemd: {error}") from error
        except TimeoutError:
            reason = f"systemd does not let go of `{unit_of(model.program)}`"
            raise StartError(reason, unavailable=True) from None

    async def _startable(self, model: ModelConfig) -> int | None:
        """The pid of a process that already is what `model` asks for; `None`: none is there."""
        while (unit := await self._look(model.program)).state not in ENDED:
            if unit.state in RUNNING and unit.pid is not None:
                if self.digest(unit.pid) == model.digest:
                    return unit.pid
                await self._systemd.stop(unit.name)
            await asyncio.sleep(_POLL_S)
        return None

    async def _started(self, model: ModelConfig) -> int:
        before = (await self._look(model.program)).invocation
        await self._systemd.start(unit_of(model.program))
        while True:
            unit = await self._look(model.program)
            if unit.pid is not None and unit.invocation != before:
                return unit.pid
            if unit.state in ENDED and unit.invocation != before:
                await self._remember(model.program, unit)
                raise StartError(f"the process ended at once: {unit.result}")
            await asyncio.sleep(_POLL_S)

    async def _look(self, program: str) -> Unit:
        (unit,) = await self._systemd.units((unit_of(program),))
        if unit.pid is not None:
            self._programs[unit.pid] = program
        return unit

    async def stop(self, model: ModelConfig, pid: int) -> None:
        """See `World`. Signals the process itself where systemd can't or does not know it."""
        try:
            unit = await self._look(model.program)
            if unit.pid == pid:
                await self._systemd.stop(unit.name)
                return
        except (UnreachableError, RefusedError):
            pass
        self.signal(pid, signal.SIGTERM)

    async def buried(self, model: ModelConfig, pid: int) -> None:
        """See `World`. The last words are fetched while there is time for it."""
        with contextlib.suppress(UnreachableError, RefusedError, TimeoutError):
            async with asyncio.timeout(BURIED_S):
                while (unit := await self._look(model.program)).pid == pid:
                    await asyncio.sleep(_POLL_S)
                await self._remember(model.program, unit)

    async def _remember(self, program: str, unit: Unit) -> None:
        with contextlib.suppress(UnreachableError):
            self._tails[program] = await self._journal(unit, TAIL_LINES)

    async def load_log(self, program: str) -> str:
        """See `World`."""
        try:
            return last_start(await self._journal(await self._look(program), LOAD_LINES))
        except (UnreachableError, RefusedError):
            return ""

    def log_tail(self, program: str) -> str:
        """See `World`. What `buried` or a failed start saw."""
        return self._tails.get(program, "")

    async def _journal(self, unit: Unit, lines: int) -> str:
        """What this run of a unit has said."""
        which = "_SYSTEMD_USER_UNIT" if self._user else "_SYSTEMD_UNIT"
        words = ["journalctl", "--output=cat", "--no-pager", "--quiet", f"--lines={lines}"]
        words += [f"{which}={unit.name}"]
        words += [f"_SYSTEMD_INVOCATION_ID={unit.invocation}"] if unit.invocation else []
        status, said = await run(*words)
        return "" if status else said

    def close(self) -> None:
        """See `Processes`."""
        super().close()
        self._systemd.close()


def unit_of(program: str) -> str:
    """The service of a program of `router.json`."""
    return f"llmdecl-{program}.service"
