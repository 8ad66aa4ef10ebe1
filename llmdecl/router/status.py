"""What `GET /status` on the control socket says: schema 1."""

import os
from dataclasses import asdict, dataclass

from llmdecl.router.events import State
from llmdecl.router.lifecycle import Keeper
from llmdecl.router.placement import Verdict
from llmdecl.router.resident import Resident
from llmdecl.router.scheduler import claimed_bytes


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A budget and what loaded models claim of it."""

    name: str
    budget_bytes: int
    claimed_bytes: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """`digest` is the running process's, or what a start would give. `idle_s` and `ttl_left_s` are
    `None` while it is busy or not ready; `started_s_ago` counts from the router's first sight of
    the process; `load_s` is how long its start took; `placement` is what its engine's log says,
    `None` until it was read. `held` is true from the hold's beginning, while `state` says how far
    it is. `log_tail` comes with an `error` only."""

    name: str
    state: str
    pid: int | None
    digest: str
    in_flight: int
    queued: int
    idle_s: float | None
    ttl_left_s: float | None
    started_s_ago: float | None
    load_s: float | None
    adopted: bool
    held: bool
    crashes: int
    placement: dict[str, object] | None
    error: str | None
    log_tail: str


def status(keeper: Keeper, config_sha256: str) -> dict[str, object]:
    """The whole answer, ready for JSON."""
    now = keeper.loop.time()
    residents = keeper.residents.values()
    loaded = [r.candidate().claims for r in residents if r.occupies]
    return {
        "schema": 1,
        "pid": os.getpid(),
        "config_sha256": config_sha256,
        "draining": keeper.draining,
        "pools": [
            asdict(PoolStatus(pool.name, pool.budget_bytes, claimed_bytes(loaded, pool.name)))
            for pool in keeper.config.pools
        ],
        "models": [
            asdict(_model(keeper, resident, now))
            for resident in sorted(residents, key=lambda r: r.name)
        ],
    }


def _model(keeper: Keeper, resident: Resident, now: float) -> ModelStatus:
    process = resident.process
    idle = resident.state is State.READY and not resident.busy
    unload_at = resident.idle_unload_at()
    error = process.error or resident.note or None
    return ModelStatus(
        name=resident.name,
        state=process.state.value,
        pid=process.pid,
        digest=resident.digest or (resident.loaded or resident.config).digest,
        in_flight=len(resident.leases),
        queued=len(resident.queue),
        idle_s=round(now - resident.idle_since, 3) if idle else None,
        ttl_left_s=None if unload_at is None else round(max(0.0, unload_at - now), 3),
        started_s_ago=round(now - resident.wanted_at, 3) if resident.occupies else None,
        load_s=None if resident.load_s is None else round(resident.load_s, 4),
        adopted=process.adopted and resident.occupies,
        held=resident.held,
        crashes=process.crashes,
        placement=_placement(resident.verdict),
        error=error,
        log_tail=keeper.world.log_tail(resident.config.program) if error else "",
    )


def _placement(verdict: Verdict | None) -> dict[str, object] | None:
    if verdict is None:
        return None
    return {
        "known": verdict.known,
        "where": verdict.where,
        "memory": verdict.memory(),
        "differences": verdict.differences,
        "causes": verdict.causes,
    }
