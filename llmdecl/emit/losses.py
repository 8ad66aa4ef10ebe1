"""What llama-swap cannot do as the spec says: one warning a loss, `cannot express: ...`."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.emit import rules
from llmdecl.emit.doors import door, listen
from llmdecl.emit.llama_swap import API_KEY, health_check_timeout_s, ttl_s
from llmdecl.plan.endpoints import APIS
from llmdecl.plan.model import EndpointPlan, ModelPlan, Plan
from llmdecl.units import format_duration


def losses(plan: Plan) -> Iterator[Diagnostic]:
    """By endpoint, by model, then of the router as such."""
    entrance = door(plan)
    if entrance is None:
        yield rules.NO_TCP_ENDPOINT.at("endpoints", "llama-swap needs an endpoint on TCP")
        return
    for endpoint in plan.endpoints:
        yield from _endpoint(endpoint, entrance, plan)
    for model in plan.models:
        yield from _model(model, plan)
    yield from _router(plan)


def _endpoint(endpoint: EndpointPlan, entrance: EndpointPlan, plan: Plan) -> Iterator[Diagnostic]:
    at = f"endpoints.{endpoint.name}"
    if endpoint is not entrance:
        where = f"unix:{endpoint.listen.path}" if endpoint.listen.path else listen(endpoint)
        yield rules.ENDPOINT.at(
            f"{at}.listen",
            f"cannot express: `{where}` beside `{listen(entrance)}`, llama-swap's only address",
        )
        return
    others = {model.name for model in plan.models} - set(endpoint.models)
    if others:
        names = ", ".join(f"`{name}`" for name in sorted(others))
        yield rules.ENDPOINT.at(f"{at}.models", f"cannot express: {names} are served as well")
    if set(endpoint.apis) != set(APIS):
        yield rules.ENDPOINT.at(
            f"{at}.apis", f"cannot express: more than {', '.join(endpoint.apis)} is answered"
        )
    if endpoint.api_keys_file is not None:
        yield rules.API_KEYS_FILE.at(
            f"{at}.api-keys-file",
            f"cannot express: keys are not read from `{endpoint.api_keys_file}`; "
            f"one is taken from {API_KEY}",
        )


def _model(model: ModelPlan, plan: Plan) -> Iterator[Diagnostic]:
    at = model.address
    if model.sampling:
        keys = ", ".join(f"`{value.key}`" for value in model.sampling)
        yield rules.SAMPLING.at(
            f"{at}.sampling", f"cannot express: {keys} replace what a request says"
        )
    if model.system_prompt is not None:
        yield rules.SYSTEM_PROMPT.at(
            f"{at}.system-prompt", f"cannot express: `{model.name}` gets no system prompt"
        )
    if model.ttl_s is not None and model.ttl_s != ttl_s(model):
        shown = format_duration(model.ttl_s) if model.ttl_s else "0"
        yield rules.TTL.at(f"{at}.ttl", f"cannot express: {shown} becomes {ttl_s(model)} s")
    longest = health_check_timeout_s(plan)
    if longest - model.start_timeout_s >= 1:
        yield rules.START_TIMEOUT.at(
            f"{at}.start-timeout",
            f"cannot express: a start of `{model.name}` may take {longest} s like all others, "
            f"not {format_duration(model.start_timeout_s)}",
        )


def _router(plan: Plan) -> Iterator[Diagnostic]:
    limits = plan.router
    yield rules.QUEUE_TIMEOUT.at(
        "router.queue-timeout",
        f"cannot express: nobody is refused after {format_duration(limits.queue_timeout_s)}",
    )
    if limits.min_residency_s:
        yield rules.MIN_RESIDENCY.at(
            "router.min-residency",
            f"cannot express: a model may be evicted within "
            f"{format_duration(limits.min_residency_s)} of its start",
        )
    yield rules.DRAIN_TIMEOUT.at(
        "router.drain-timeout",
        "cannot express: requests in flight are waited for without end, or not at all",
    )
    late = plan.residency.without_startup is not None
    listed = "the sets that were written" if plan.residency.complete else "some of many sets"
    if late or len(plan.models) > 1:
        yield rules.MEMORY.at(
            "router.kind", f"cannot express: memory decides through {listed} only"
        )
    yield rules.RELOAD.at("router.kind", "cannot express: a reload stops every running model")
    yield rules.SOCKETS.at("router.kind", "cannot express: models listen on ports, not on sockets")
    yield rules.GATES.at("router.kind", "cannot express: no engine's report is compared with plan")
