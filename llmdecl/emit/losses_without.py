"""What a stack without a router cannot do as the spec says: `cannot express: ...`."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.emit import rules
from llmdecl.emit.doors import listen
from llmdecl.emit.systemd.direct import idle_s
from llmdecl.plan.model import EndpointPlan, ModelPlan, Plan
from llmdecl.units import format_duration


def losses(plan: Plan) -> Iterator[Diagnostic]:
    """By endpoint, by model, then of the stack as such."""
    for endpoint in plan.endpoints:
        yield from _endpoint(endpoint, plan)
    for model in plan.models:
        yield from _model(model)
    at = "router.kind"
    if len(plan.models) > 1:
        summary = "cannot express: no model is unloaded to make room for another one"
        yield rules.WITHOUT_MEMORY.at(at, summary)
    yield rules.WITHOUT_DRAIN.at(at, "cannot express: a change cuts requests, and none is queued")
    yield rules.WITHOUT_GATES.at(at, "cannot express: no engine's report is compared with plan")


def _endpoint(endpoint: EndpointPlan, plan: Plan) -> Iterator[Diagnostic]:
    at = f"endpoints.{endpoint.name}"
    if endpoint.api_keys_file is not None:
        summary = f"nobody asks for a key of `{endpoint.api_keys_file}` without a router"
        yield rules.WITHOUT_KEYS.at(f"{at}.api-keys-file", summary)
    if len(endpoint.models) == 1:
        return
    if endpoint.listen.path is not None:
        where = f"unix:{endpoint.listen.path}"
        text = f"cannot express: `{where}` is not made, as it would be several models'"
    else:
        ports = {model.name: _port(model, endpoint) for model in plan.models}
        each = ", ".join(f"`{name}` on {ports[name]}" for name in endpoint.models)
        text = f"cannot express: instead of `{listen(endpoint)}` there are {each}"
    yield rules.WITHOUT_ADDRESS.at(f"{at}.listen", text)


def _port(model: ModelPlan, endpoint: EndpointPlan) -> int | None:
    host = endpoint.listen.host
    own = (each.port for each in model.listens if each.host == host)
    return next((port for port in own if port != endpoint.listen.port), None)


def _model(model: ModelPlan) -> Iterator[Diagnostic]:
    at = model.address
    if model.aliases:
        names = ", ".join(f"`{alias}`" for alias in model.aliases)
        yield rules.WITHOUT_NAMES.at(f"{at}.aliases", f"cannot express: {names} lead nowhere")
    if model.sampling:
        keys = ", ".join(f"`{value.key}`" for value in model.sampling)
        yield rules.WITHOUT_DEFAULTS.at(f"{at}.sampling", f"cannot express: {keys} are not added")
    if model.system_prompt is not None:
        summary = f"cannot express: `{model.name}` gets no system prompt"
        yield rules.WITHOUT_DEFAULTS.at(f"{at}.system-prompt", summary)
    idle = idle_s(model)
    if model.load == "startup":
        if model.ttl_s is not None:
            summary = f"cannot express: `{model.name}` is loaded at start and never unloaded"
            yield rules.WITHOUT_TTL.at(f"{at}.ttl", summary)
    elif idle is not None and idle != model.ttl_s:
        said = format_duration(model.ttl_s) if model.ttl_s else "0"
        yield rules.WITHOUT_TTL.at(f"{at}.ttl", f"cannot express: {said} becomes {idle} s")
