"""`router.json`: endpoints, models with their claims on memory, limits."""

from collections.abc import Iterator

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.plan.model import EndpointPlan, MemoryPart, ModelPlan, Plan
from llmdecl.plan.residency import alone_on, computes_on
from llmdecl.router.config import (
    Claim,
    EndpointConfig,
    Expect,
    ExpectedPart,
    ModelConfig,
    PoolConfig,
    RouterConfig,
)
from llmdecl.values import to_json

LOGGED = frozenset({"weights", "repacked", "kv-cache", "recurrent", "output", "compute"})
"""Parts of a ledger that llama-server's log has; a draft's are these with `draft-` before them."""

SPREAD = frozenset({"row", "tensor"})
"""Split modes whose buffers are not a device's own in the log."""


def emit(plan: Plan) -> ArtefactSet:
    """The router's whole configuration."""
    limits = plan.router
    engines = {engine.name: engine.digest for engine in plan.engines}
    config = RouterConfig(
        endpoints=tuple(_endpoint(endpoint, plan.manager) for endpoint in plan.endpoints),
        models=tuple(_model(model, engines[model.engine]) for model in plan.models),
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


CREDENTIALS = "/run/credentials/llmdecl-router.service"
"""Where the system's systemd shows the router what `LoadCredential=` names."""


def _keys(endpoint: EndpointPlan, manager: str) -> str | None:
    """The file with keys as the router reads it: a secret stays root's under systemd."""
    if endpoint.api_keys_file is None or manager != "systemd":
        return endpoint.api_keys_file
    return f"{CREDENTIALS}/{endpoint.name}.keys"


def _endpoint(endpoint: EndpointPlan, manager: str) -> EndpointConfig:
    return EndpointConfig(
        name=endpoint.name,
        host=endpoint.listen.host,
        port=endpoint.listen.port,
        path=endpoint.listen.path,
        apis=endpoint.apis,
        models=endpoint.models,
        api_keys_file=_keys(endpoint, manager),
    )


def _model(model: ModelPlan, engine: str) -> ModelConfig:
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
        expect=expect(model, engine),
    )


def expect(model: ModelPlan, engine: str) -> Expect:
    """What the log of `model` on the engine with the digest `engine` must say."""
    placed = model.placement
    return Expect(
        engine=engine,
        devices=tuple(zip(placed.engine_devices, placed.devices, strict=True)),
        n_gpu_layers=placed.n_gpu_layers if placed.devices else 0,
        n_layers=placed.n_layers,
        flash_attn=_flash_attn(model),
        parts=() if placed.split_mode in SPREAD and placed.devices else tuple(_logged(model)),
    )


def _flash_attn(model: ModelPlan) -> bool | None:
    for setting in model.settings:
        if setting.flag == "--flash-attn" and setting.values:
            return {"on": True, "off": False}.get(setting.values[0].text)
    return None


def _logged(model: ModelPlan) -> Iterator[ExpectedPart]:
    sums: dict[tuple[str, str], tuple[int, bool]] = {}
    for part in model.memory:
        if part.part.removeprefix("draft-") in LOGGED and part.shared is None:
            amount, exact = sums.get((part.pool, part.part), (0, True))
            sums[part.pool, part.part] = amount + part.bytes, exact and part.exact
    for (pool, name), (amount, exact) in sorted(sums.items()):
        yield ExpectedPart(pool=pool, part=name, bytes=amount, exact=exact)


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
