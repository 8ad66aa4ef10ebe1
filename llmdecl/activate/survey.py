"""What `status` tells: the stack in force, what of it runs, and where it drifted."""

from llmdecl.activate import processes
from llmdecl.activate.changes import Change
from llmdecl.activate.diff import diff
from llmdecl.activate.generations import Generation
from llmdecl.activate.hands import Hands
from llmdecl.activate.live import MODEL_PROGRAM, Live, LiveProgram
from llmdecl.activate.observe import observe, version_in_force
from llmdecl.activate.phrases import listen
from llmdecl.activate.router_client import ModelStatus, PlacementStatus, RouterStatus
from llmdecl.plan.endpoints import APIS
from llmdecl.plan.model import ModelPlan
from llmdecl.values import Value


class PoolSurvey(Value, frozen=True, kw_only=True):
    """Memory that models may use, and what the loaded ones claim (`None`: no router says)."""

    name: str
    budget_bytes: int
    claimed_bytes: int | None


class PlacementSurvey(Value, frozen=True, kw_only=True):
    """Where a loaded model is and what it takes (bytes by pool), as its engine's log says, and in
    what that differs from the plan."""

    where: str
    memory: dict[str, int]
    differences: tuple[str, ...]
    causes: tuple[str, ...]


class ModelSurvey(Value, frozen=True, kw_only=True):
    """One model. `state` is the router's word; `unrouted` is what runs without it knowing.

    `memory_bytes` is what it claims of all pools when it is loaded, `host_bytes` what the kernel
    counts as its own on the host now: of its unit, or else of its process. Times are in seconds.
    `placement` is `None` when it is not loaded, or its engine does not say.
    """

    name: str
    aliases: tuple[str, ...]
    task: str
    load: str
    state: str
    pid: int | None
    memory_bytes: int
    host_bytes: int | None = None
    n_ctx_slot: int
    in_flight: int
    queued: int
    idle_s: float | None
    ttl_s: float | None
    ttl_left_s: float | None
    load_s: float | None
    adopted: bool
    placement: PlacementSurvey | None
    error: str | None


class EndpointSurvey(Value, frozen=True, kw_only=True):
    """A listener as the spec writes it."""

    name: str
    listen: str
    apis: tuple[str, ...]
    models: tuple[str, ...]


class Survey(Value, frozen=True, kw_only=True):
    """The whole. PIDs are `None` for what does not answer."""

    schema: int = 1
    stack: str
    generation: int | None
    wanted: int | None
    supervisord_pid: int | None
    router_pid: int | None
    draining: bool
    endpoints: tuple[EndpointSurvey, ...]
    pools: tuple[PoolSurvey, ...]
    models: tuple[ModelSurvey, ...]
    drift: tuple[Change, ...]


def survey(hands: Hands) -> Survey:
    """The stack now, next to what was applied."""
    current = hands.generations.load_pointed("current")
    live = observe(hands, [current.plan] if current else [])
    status = hands.router.status() if live.router else None
    version = version_in_force(current)
    drift = diff(version, version, live).changes if version else ()
    return Survey(
        stack=hands.folders.stack,
        generation=current.number if current else None,
        wanted=live.wanted,
        supervisord_pid=live.manager.pid if live.manager else None,
        router_pid=status.pid if status else None,
        draining=status.draining if status else False,
        endpoints=_endpoints(current),
        pools=_pools(current, status),
        models=_models(current, status, live),
        drift=drift,
    )


def _endpoints(current: Generation | None) -> tuple[EndpointSurvey, ...]:
    if current is None:
        return ()
    if current.plan.router.kind == "none":
        return tuple(
            EndpointSurvey(name=m.name, listen=listen(each), apis=APIS, models=(m.name,))
            for m in current.plan.models
            for each in m.listens
        )
    return tuple(
        EndpointSurvey(name=e.name, listen=listen(e.listen), apis=e.apis, models=e.models)
        for e in current.plan.endpoints
    )


def _pools(current: Generation | None, status: RouterStatus | None) -> tuple[PoolSurvey, ...]:
    claimed = {pool.name: pool.claimed_bytes for pool in status.pools} if status else {}
    budgets = current.plan.budgets if current else ()
    return tuple(
        PoolSurvey(name=b.pool, budget_bytes=b.bytes, claimed_bytes=claimed.get(b.pool))
        for b in budgets
    )


def _models(
    current: Generation | None, status: RouterStatus | None, live: Live
) -> tuple[ModelSurvey, ...]:
    if current is None:
        return ()
    known = {model.name: model for model in status.models} if status else {}
    return tuple(_model(model, known.get(model.name), live) for model in current.plan.models)


def _model(model: ModelPlan, said: ModelStatus | None, live: Live) -> ModelSurvey:
    programs = {p.name: p for p in live.manager.programs} if live.manager else {}
    program = programs.get(f"{MODEL_PROGRAM}{model.name}")
    pid = program.pid if program else None
    now = said or ModelStatus(name=model.name, state="stopped")
    if pid is not None and now.state == "stopped":
        now = ModelStatus(name=model.name, state="unrouted", pid=pid)
    return ModelSurvey(
        name=model.name,
        aliases=model.aliases,
        task=model.task,
        load=model.load,
        state=now.state,
        pid=now.pid,
        memory_bytes=sum(part.bytes for part in model.memory),
        host_bytes=_host_bytes(program, now.pid),
        n_ctx_slot=model.n_ctx_slot,
        in_flight=now.in_flight,
        queued=now.queued,
        idle_s=now.idle_s,
        ttl_s=model.ttl_s,
        ttl_left_s=now.ttl_left_s,
        load_s=now.load_s,
        adopted=now.adopted,
        placement=_placement(now.placement),
        error=now.error,
    )


def _host_bytes(program: LiveProgram | None, pid: int | None) -> int | None:
    if program is not None and program.charged_bytes is not None:
        return program.charged_bytes
    return None if pid is None else processes.resident_bytes(pid)


def _placement(said: PlacementStatus | None) -> PlacementSurvey | None:
    if said is None or not said.known:
        return None
    return PlacementSurvey(
        where=said.where,
        memory=said.memory,
        differences=said.differences,
        causes=said.causes,
    )
