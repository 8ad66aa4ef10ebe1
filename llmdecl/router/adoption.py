"""At the router's start: models that already run go on running."""

import asyncio
import logging

from llmdecl.router.events import Found, StopRequested
from llmdecl.router.lifecycle import Keeper
from llmdecl.router.world import StartError

log = logging.getLogger("llmdecl.router")

ATTEMPTS = 5
PAUSE_S = 0.2


async def adopt(keeper: Keeper) -> None:
    """Take over the processes of supervisord's programs.

    One of the wanted digest serves on as soon as its health is seen; what a router before left
    in flight there is unknown, so it counts as busy until its slots are idle. One of another
    digest is stopped, and wanted again only if it is for startup. Programs that the
    configuration does not know are left to `apply`.
    """
    running = await _running(keeper)
    for resident in keeper.residents.values():
        pid = running.get(resident.config.program)
        if pid is None:
            continue
        digest = keeper.world.digest(pid)
        keeper.feed(resident, Found(pid))
        resident.digest = digest
        if digest == resident.config.digest:
            log.info("model %s: adopted pid %d", resident.name, pid)
        else:
            log.info("model %s: pid %d is of another configuration", resident.name, pid)
            keeper.feed(resident, StopRequested())


async def _running(keeper: Keeper) -> dict[str, int]:
    for attempt in range(ATTEMPTS):
        try:
            return dict(await keeper.world.running())
        except StartError as error:
            if attempt == ATTEMPTS - 1:
                log.warning("nothing is adopted: %s", error.reason)
            else:
                await asyncio.sleep(PAUSE_S)
    return {}
