"""Taking a new `router.json` without dropping a connection or a process that may stay."""

import asyncio
import hashlib
import logging
from pathlib import Path

import msgspec

from llmdecl.router import refusals
from llmdecl.router.config import ModelConfig, RouterConfig
from llmdecl.router.events import State, StopRequested
from llmdecl.router.lifecycle import Keeper
from llmdecl.router.operator import Operator
from llmdecl.router.resident import Resident
from llmdecl.values import from_json

log = logging.getLogger("llmdecl.router")


class ConfigError(Exception):
    """`router.json` can't be read or contradicts itself; the text says where."""


def read_config(path: Path) -> tuple[RouterConfig, str]:
    """The configuration and the SHA-256 of its bytes. Raises ConfigError."""
    try:
        data = path.read_bytes()
        config = from_json(data, RouterConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    problem = _contradiction(config)
    if problem:
        raise ConfigError(f"{path}: {problem}")
    return config, hashlib.sha256(data).hexdigest()


def _contradiction(config: RouterConfig) -> str | None:
    names = [n for model in config.models for n in (model.name, *model.aliases)]
    twice = sorted({name for name in names if names.count(name) > 1}) if _repeats(names) else []
    if twice:
        return f"`{twice[0]}` names two models"
    if _repeats([model.socket for model in config.models]):
        return "two models share a socket"
    if _repeats([model.program for model in config.models]):
        return "two models share a program"
    pools = {pool.name for pool in config.pools}
    models = {model.name for model in config.models}
    for model in config.models:
        for claim in model.claims:
            if claim.pool not in pools:
                return f"`{model.name}` claims from `{claim.pool}`, which is no pool"
    for endpoint in config.endpoints:
        for name in endpoint.models:
            if name not in models:
                return f"endpoint `{endpoint.name}` serves `{name}`, which is no model"
    return None


def _repeats(values: list[str]) -> bool:
    return len(set(values)) != len(values)


class Reloader:
    """Applies one new configuration after the other."""

    def __init__(self, keeper: Keeper, path: Path, config_sha256: str) -> None:
        self._keeper = keeper
        self._operator = Operator(keeper)
        self._path = path
        self._lock = asyncio.Lock()
        self.config_sha256 = config_sha256
        """Of the configuration in force."""

    async def reload(self) -> str:
        """Read and take it; its SHA-256. Raises ConfigError, and then the old one stays."""
        async with self._lock:
            config, digest = read_config(self._path)
            await self._take(config)
            self.config_sha256 = digest
            log.info("configuration %s is in force", digest[:12])
            return digest

    async def _take(self, config: RouterConfig) -> None:
        keeper = self._keeper
        wanted = {model.name: model for model in config.models}
        added = [m for name, m in wanted.items() if name not in keeper.residents]
        for model in added:
            keeper.add(model)
        try:
            if keeper.data_path is not None:
                await keeper.data_path.reconfigure(config)
        except OSError as error:
            for model in added:
                self._remove(keeper.residents[model.name])
            raise ConfigError(error.strerror or str(error)) from error
        keeper.config = config
        for name, resident in tuple(keeper.residents.items()):
            if name in wanted:
                self._change(resident, wanted[name])
            else:
                self._remove(resident)
        keeper.wake()

    def _remove(self, resident: Resident) -> None:
        resident.removed, resident.wished_since = True, None
        self._keeper.refuse_waiting(resident, refusals.unknown(resident.name))
        if resident.state is State.HELD or not resident.occupies:
            del self._keeper.residents[resident.name]
            resident.tell_change()
        else:
            self._keeper.feed(resident, StopRequested())

    def _change(self, resident: Resident, model: ModelConfig) -> None:
        """Its process stays if it is what the new configuration asks for. A hold ends: `apply`
        held it to change what is now changed."""
        keeper, old = self._keeper, resident.config
        resident.removed = False
        resident.config, resident.socket = model, keeper.world.socket(model)
        startup = model.load == "startup" and old.load != "startup"
        if resident.held:
            self._operator.end_hold(resident)
            startup = startup or resident.ran_before_hold
        if resident.occupies and _is_another(resident, model):
            keeper.feed(resident, StopRequested())
            startup = True
        elif resident.state is State.BACKOFF and model.digest != old.digest:
            keeper.feed(resident, StopRequested())
        elif model.expect != old.expect and resident.state is State.READY:
            keeper.judge_anew(resident)
        if startup and resident.state is not State.READY:
            keeper.wish(resident)


def _is_another(resident: Resident, model: ModelConfig) -> bool:
    """Whether its process was started as something else than `model`."""
    running = resident.digest or (resident.loaded.digest if resident.loaded else None)
    return (
        running != model.digest
        or resident.loaded is None
        or (resident.loaded.socket != model.socket or resident.loaded.program != model.program)
    )
