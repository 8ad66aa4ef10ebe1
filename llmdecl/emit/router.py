"""`router.json`: endpoints, models with their claims on memory, limits."""

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.plan.model import EndpointPlan, MemoryPart, ModelPlan, Plan
from llmdecl.plan.residency import alone_on, computes_on
from llmdecl.router.config import (
    Claim,
    EndpointConfig,
    ModelConfig,
    PoolConfig,
    RouterConfig,
)
from llmdecl.values import to_json


def emit(plan: Plan) -> ArtefactSet:
    """The router's whole configuration."""
    limits = plan.router
    config = RouterConfig(
        endpoints=tuple(_endpoint(endpoint) for endpoint in plan.endpoints),
        models=tuple(_model(model) for model in plan.models),
        pools=tuple(
            PoolConfig(name=budget.pool, budget_bytes=max(0, budget.bytes))
            for budget in plan.budgets
        ),
        drain_timeout_s=limits.drain_timeout_s,
        queue_timeout_s=limits.queue_timeout_s,
        queue_size=limits.queue_size,
        min_residency_s=limits.min_residency_s,
    )
    return (Artefact(path="router.json", text=to_json(config).decode()),)


def _endpoint(endpoint: EndpointPlan) -> EndpointConfig:
    return EndpointConfig(
        name=endpoint.name,
        host=endpoint.listen.host,
        port=endpoint.listen.port,
        path=endpoint.listen.path,
        apis=endpoint.apis,
        models=endpoint.models,
        api_keys_file=endpoint.api_keys_file,
    )


def _model(model: ModelPlan) -> ModelConfig:
    return ModelConfig(
        name=model.name,
        aliases=model.aliases,
        task=model.task,
        program=f"model-{model.name}",
        socket=model.socket,
        digest=model.digest,
        slots=model.parallel,
        n_ctx=model.n_ctx_slot,
        ttl_s=model.ttl_s,
        load=model.load,
        start_timeout_s=model.start_timeout_s,
        claims=claims(model.memory),
        devices=tuple(sorted(computes_on(model.placement))),
        alone=tuple(sorted(alone_on(model.placement, alone=model.alone))),
        defaults={value.key: value.value for value in model.sampling},
        system_prompt=model.system_prompt,
    )


def claims(memory: tuple[MemoryPart, ...]) -> tuple[Claim, ...]:
    """One claim a pool for what is private, one for each file that is mapped; by pool and key."""
    sums: dict[tuple[str, str | None], int] = {}
    for part in memory:
        key = part.pool, part.shared
        before = sums.get(key, 0)
        sums[key] = before + part.bytes if part.shared is None else max(before, part.bytes)
    return tuple(
        Claim(pool=pool, bytes=amount, shared=shared)
        for (pool, shared), amount in sorted(
            sums.items(), key=lambda item: (item[0][0], item[0][1] or "")
        )
    )
