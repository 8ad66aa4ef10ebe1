"""What an operator, `apply` for example, may ask for; each answers when it is done."""

import asyncio
from collections.abc import Callable

from llmdecl.router import refusals
from llmdecl.router.events import Released, State, StopRequested, Then
from llmdecl.router.lifecycle import Keeper
from llmdecl.router.ports import Refused
from llmdecl.router.resident import Resident


class NoSuchModelError(Exception):
    """The configuration has no model of this name."""


class Operator:
    """The operations behind the control socket. All but `drain` raise NoSuchModelError."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    async def hold(self, name: str) -> None:
        """Drain, stop, and keep stopped while requests queue. Raises Refused (409) when it is
        released meanwhile."""
        resident = self._resident(name)
        if not resident.held:
            resident.ran_before_hold = resident.occupies
        self._keeper.feed(resident, StopRequested(Then.HOLD))
        await _until(resident, lambda: not _is_being_held(resident))
        if resident.state is not State.HELD:
            raise Refused(409, f"`{name}` was released before it was stopped")

    async def release(self, name: str) -> None:
        """End a hold; a model for startup is loaded again, others when they are asked for."""
        self.end_hold(self._resident(name))

    def end_hold(self, resident: Resident) -> None:
        """The same, without a name."""
        was_held = resident.state is State.HELD
        self._keeper.feed(resident, Released())
        if was_held and resident.config.load == "startup":
            self._keeper.wish(resident)

    async def start(self, name: str) -> None:
        """Load it, now even if it backs off: whoever asks has mended it. Raises Refused as for a
        request, and 409 while it is held."""
        resident = self._resident(name)
        if resident.held:
            raise Refused(409, f"`{name}` is held")
        if resident.state is State.BACKOFF:
            self._keeper.feed(resident, StopRequested())
        self._keeper.release(await self._keeper.acquire(name, patient=True))

    async def stop(self, name: str) -> None:
        """Drain it and wait until its process is gone; requests that queue start it again."""
        resident = self._resident(name)
        resident.wished_since = None
        generation = resident.process.generation
        self._keeper.feed(resident, StopRequested())
        await _until(
            resident,
            lambda: not resident.occupies or resident.process.generation != generation,
        )

    async def restart(self, name: str) -> None:
        """Stop it if it runs, and load it. Raises Refused as `start`."""
        resident = self._resident(name)
        if resident.occupies:
            self._keeper.feed(resident, StopRequested())
        await self.start(name)

    async def drain(self) -> None:
        """Admit nothing any more and wait for what is in flight, up to the drain time-out."""
        keeper = self._keeper
        keeper.draining = True
        for resident in keeper.residents.values():
            keeper.open_or_close(resident)
            keeper.refuse_waiting(resident, refusals.stopping())
        end = keeper.loop.time() + keeper.config.drain_timeout_s
        while keeper.loop.time() < end and any(r.leases for r in keeper.residents.values()):
            await asyncio.sleep(0.01)

    def _resident(self, name: str) -> Resident:
        resident = self._keeper.residents.get(name)
        if resident is None or resident.removed:
            raise NoSuchModelError(name)
        return resident


async def _until(resident: Resident, holds: Callable[[], bool]) -> None:
    while not holds():
        await resident.changed.wait()


def _is_being_held(resident: Resident) -> bool:
    return resident.occupies and resident.process.then is Then.HOLD
