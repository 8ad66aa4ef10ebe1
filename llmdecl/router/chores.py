"""What takes time for one model: starting it, waiting for its health, waiting for its slots."""

import asyncio
from typing import TYPE_CHECKING

from llmdecl.engines.llama_cpp.load_log import is_loaded
from llmdecl.router.events import Exited, Healthy, NotSpawned, Spawned, State
from llmdecl.router.placement import judge
from llmdecl.router.resident import Resident
from llmdecl.router.world import StartError

if TYPE_CHECKING:
    from llmdecl.router.lifecycle import Keeper

FIRST_POLL_S = 0.001
LONGEST_POLL_S = 0.025
"""Health is asked for after 1 ms, then after pauses that grow by half to 25 ms."""

LOG_FIRST_S = 0.02
LOG_S = 3.0
"""A log that says nothing of loading is waited for so long: the engine is already healthy."""

SETTLE_S = 30.0
"""An engine that still computes for a client so long gone is treated as idle."""
_SLOTS_FIRST_S = 0.05
_SLOTS_AGAIN_S = 1.15
"""llama-server looks whether a client is still there after 1 s in which none of its tasks has
ended, and a question for its slots is a task: who asks more often keeps it from ever noticing."""


class Chores:
    """Each ends in an event for the keeper's state machine."""

    def __init__(self, keeper: "Keeper") -> None:
        self._keeper = keeper

    async def start(self, resident: Resident) -> None:
        """Have the program started."""
        try:
            pid = await self._keeper.world.start(resident.loaded or resident.config)
        except StartError as error:
            event = NotSpawned(error.reason, error.unavailable)
            self._keeper.feed(resident, event)
        except Exception:
            self._keeper.feed(resident, NotSpawned("the router failed", unavailable=True))
            raise
        else:
            self._keeper.feed(resident, Spawned(pid))

    async def poll_health(self, resident: Resident, pid: int) -> None:
        """Until it answers, or is no longer starting; its exit and its deadline come as events."""
        pause = FIRST_POLL_S
        while resident.state is State.STARTING and resident.process.pid == pid:
            if await self._keeper.world.healthy(resident.socket):
                self._keeper.feed(resident, Healthy(pid))
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_S)

    async def check_placement(self, resident: Resident, pid: int) -> None:
        """Read the engine's log until it says that all is loaded, and judge it.

        The log passes through supervisord, so it may come later than the engine's health.
        """
        model = resident.loaded or resident.config
        expect = resident.config.expect
        if expect is None:
            return
        end, pause = self._keeper.loop.time() + LOG_S, LOG_FIRST_S
        while True:
            log = await self._keeper.world.load_log(model.program)
            if is_loaded(log) or self._keeper.loop.time() >= end:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOG_S / 4)
        if resident.process.pid == pid:
            self._keeper.placed(resident, judge(expect, log))

    async def bury(self, resident: Resident, pid: int) -> None:
        """Its process ended while it was starting: whoever waits is told its last words."""
        await self._keeper.world.buried(resident.loaded or resident.config, pid)
        self._keeper.feed(resident, Exited(pid))

    def settle(self, resident: Resident) -> None:
        """Count it as busy until its slots are idle."""
        if not resident.unsettled and resident.state in {State.READY, State.DRAINING}:
            resident.unsettled = True
            self._keeper.spawn(self._settle(resident, resident.process.generation))

    async def _settle(self, resident: Resident, generation: int) -> None:
        """A quiet server notices within a second that a client has left, one that streams to
        others only later: ask when nothing else is in flight."""
        loop = self._keeper.loop
        end = loop.time() + SETTLE_S
        while self._unsettled(resident, generation) and loop.time() < end:
            await asyncio.sleep(_SLOTS_FIRST_S)
            if resident.leases:
                end = loop.time() + SETTLE_S
                continue
            busy = await self._keeper.world.busy_slots(resident.socket)
            if busy == 0 and not resident.leases:
                break
            await asyncio.sleep(_SLOTS_AGAIN_S)
        if self._unsettled(resident, generation):
            resident.unsettled = False
            self._keeper.went_idle(resident)

    def _unsettled(self, resident: Resident, generation: int) -> bool:
        return resident.unsettled and resident.process.generation == generation
