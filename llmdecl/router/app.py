"""The process `python -m llmdecl.router --config FILE --run DIR --logs DIR`.

TERM and INT drain and exit, models live on; a second one exits at once. HUP reloads. Exit status:
0 done, 1 it could not start, 64 wrong usage.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from llmdecl.router.adoption import adopt
from llmdecl.router.config import ModelConfig, RouterConfig
from llmdecl.router.control import AnotherRouterError, Control
from llmdecl.router.given import given_sockets
from llmdecl.router.lifecycle import Keeper, Tally
from llmdecl.router.measurements import keep
from llmdecl.router.operator import Operator
from llmdecl.router.placement import Verdict
from llmdecl.router.process import SupervisedWorld
from llmdecl.router.reload import ConfigError, Reloader, read_config
from llmdecl.router.resident import Resident
from llmdecl.router.server import Server
from llmdecl.router.status import status
from llmdecl.router.systemd_world import SystemdWorld

log = logging.getLogger("llmdecl.router")

Manager = Literal["supervisord", "systemd", "systemd-user"]
MANAGERS = get_args(Manager)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the router finds what it needs."""

    config: Path
    run: Path
    logs: Path | None = None
    """Where supervisord writes what models say; with systemd the journal has it."""
    measured: Path | None = None
    """Where measurements are kept; without it they are not."""
    manager: Manager = "supervisord"
    activated: bool = False
    """Endpoints' sockets come from systemd."""

    @property
    def control(self) -> Path:
        """The router's own socket: systemd removes a unit's folder with the unit."""
        return self.run / (
            "router.sock" if self.manager == "supervisord" else ".router/router.sock"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the router until a signal ends it; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m llmdecl.router", allow_abbrev=False)
    parser.add_argument("--config", type=Path, required=True, help="router.json")
    parser.add_argument("--run", type=Path, required=True, help="folder of the sockets")
    parser.add_argument("--logs", type=Path, help="folder of the models' logs")
    parser.add_argument("--manager", choices=MANAGERS, default="supervisord")
    parser.add_argument("--measured", type=Path, help="folder for what models really took")
    parser.add_argument("--activated", action="store_true", help="take sockets from systemd")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as leave:
        return 0 if leave.code == 0 else 64
    places = Places(
        options.config,
        options.run.absolute(),
        options.logs,
        options.measured,
        options.manager,
        options.activated,
    )
    return run(places)


def run(places: Places) -> int:
    """The same, for given places."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(places))
    except (AnotherRouterError, ConfigError, OSError) as error:
        log.error("can't start: %s", error)  # noqa: TRY400  # no traceback for a world that is wrong
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def _serve(places: Places) -> None:
    config, config_sha256 = read_config(places.config)
    stopping = _Stopping()
    world = _world(places, config)
    keeper = Keeper(config, world)
    operator = Operator(keeper)
    reloader = Reloader(keeper, places.config, config_sha256)
    data_path = Server(config, keeper, given_sockets() if places.activated else None)
    drain = _Drain(operator, data_path, keeper)
    control = Control(
        places.control,
        operator=operator,
        reloader=reloader,
        status=lambda: status(keeper, reloader.config_sha256),
        drain=drain,
    )
    control.claim()
    keeper.data_path = data_path
    keeper.tally = partial(_count, data_path)
    keeper.notice = partial(_notice, data_path, keeper, places.measured)
    try:
        await adopt(keeper)
        keeper.begin()
        await data_path.start()
        await control.start()
        stopping.on_hangup(lambda: keeper.spawn(_reload(reloader)))
        log.info("ready, pid %d, %d models", os.getpid(), len(config.models))
        await stopping.first.wait()
        log.info("draining")
        await _unless(stopping.second, drain())
    finally:
        control.close()
        await data_path.close()
        await keeper.close()
        world.close()


def _world(places: Places, config: RouterConfig) -> SupervisedWorld | SystemdWorld:
    if places.manager == "supervisord":
        logs = places.logs or places.run
        return SupervisedWorld(places.run, logs, stack=os.environ.get("LLMDECL_STACK"))
    world = SystemdWorld(places.run, user=places.manager == "systemd-user")
    world.expect(config.models)
    return world


def _count(data_path: Server, model: str, what: Tally) -> None:
    counts = data_path.metrics.of(model)
    setattr(counts, what, getattr(counts, what) + 1)


def _notice(
    data_path: Server,
    keeper: Keeper,
    folder: Path | None,
    resident: Resident,
    verdict: Verdict | None,
) -> None:
    """A verdict on a model's place, for `/metrics` and for later plans."""
    counts = data_path.metrics.of(resident.name)
    if verdict is None or not verdict.known:
        counts.misplaced, counts.memory = None, {}
        return
    counts.misplaced, counts.memory = bool(verdict.differences), verdict.memory()
    if folder is not None and resident.load_s is not None:
        model = resident.loaded or resident.config
        keeper.spawn(_keep(folder, model, verdict, resident.load_s))


async def _keep(folder: Path, model: ModelConfig, verdict: Verdict, load_s: float) -> None:
    await asyncio.to_thread(keep, folder, model, verdict, load_s)


class _Drain:
    """Nobody new, not even a connection, and to those who are served their last byte: once. Who
    asks again waits for the first, so that TERM after `POST /drain` takes no second time-out."""

    def __init__(self, operator: Operator, data_path: Server, keeper: Keeper) -> None:
        self._operator = operator
        self._data_path = data_path
        self._keeper = keeper
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        if self._task is None:
            self._task = self._keeper.loop.create_task(self._drain())
        await asyncio.shield(self._task)

    async def _drain(self) -> None:
        timeout_s = self._keeper.config.drain_timeout_s
        await asyncio.gather(self._operator.drain(), self._data_path.drain(timeout_s))


async def _reload(reloader: Reloader) -> None:
    try:
        await reloader.reload()
    except ConfigError as error:
        log.error("the old configuration stays: %s", error)  # noqa: TRY400  # no traceback needed


async def _unless(event: asyncio.Event, work: Coroutine[object, object, None]) -> None:
    """Do `work`, but give up when `event` comes first."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[object]] = {loop.create_task(work), loop.create_task(event.wait())}
    _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()


class _Stopping:
    """Signals as events."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop)
        self._loop.add_signal_handler(signal.SIGHUP, lambda: None)

    def _stop(self) -> None:
        (self.second if self.first.is_set() else self.first).set()

    def on_hangup(self, act: Callable[[], None]) -> None:
        """What HUP does from now on."""
        self._loop.add_signal_handler(signal.SIGHUP, act)
