"""Listeners and the models behind them."""

import re
from collections.abc import Iterable

from llmdecl.plan.model import Address, EndpointPlan, RouterPlan
from llmdecl.spec.schema import Endpoint, Router, Spec

APIS = ("llama.cpp", "openai")
"""What an endpoint speaks when the spec doesn't say: everything."""

DRAIN_TIMEOUT_S = 60.0
QUEUE_TIMEOUT_S = 300.0
QUEUE_SIZE = 256
MIN_RESIDENCY_S = 2.0

_TCP = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:]*)):(?P<port>\d{1,5})")


def listen_address(text: str) -> Address:
    """`127.0.0.1:11434`, `[::1]:443` or `unix:/run/llm.sock`; the spec's loader has checked it."""
    if text.startswith("unix:"):
        return Address(path=text.removeprefix("unix:"))
    match = _TCP.fullmatch(text)
    if match is None:
        raise ValueError(f"`{text}` is no address")
    return Address(host=match["six"] or match["host"], port=int(match["port"]))


def plan_endpoints(spec: Spec) -> tuple[EndpointPlan, ...]:
    """Sorted by name; an endpoint that names no models, or `*`, serves all."""
    return tuple(_endpoint(name, spec.endpoints[name], spec) for name in sorted(spec.endpoints))


def _endpoint(name: str, endpoint: Endpoint, spec: Spec) -> EndpointPlan:
    every = endpoint.models is None or "*" in endpoint.models
    models = spec.models if every else set(endpoint.models or ()) & set(spec.models)
    return EndpointPlan(
        name=name,
        listen=listen_address(endpoint.listen),
        apis=tuple(sorted(endpoint.apis or APIS)),
        models=tuple(sorted(models)),
        api_keys_file=endpoint.api_keys_file,
    )


def directly(spec: Spec) -> bool:
    """Whether models are reached without a router."""
    return spec.router is not None and spec.router.kind == "none"


def direct_addresses(
    model: str, port: int, endpoints: Iterable[EndpointPlan]
) -> tuple[Address, ...]:
    """Where a model is reached without a router: on an endpoint that is for it alone, else on its
    own port of the endpoint's host. A unix socket for several models is none's."""
    found: dict[Address, None] = {}
    for endpoint in endpoints:
        if endpoint.models == (model,):
            found[endpoint.listen] = None
        elif model in endpoint.models and endpoint.listen.path is None:
            found[endpoint.listen.replace(port=port)] = None
    return tuple(found)


def plan_router(router: Router | None) -> RouterPlan:
    """Limits of the router, filled in."""
    given = router or Router.model_validate({})
    return RouterPlan(
        kind=given.kind or "llmdecl",
        path=given.path,
        drain_timeout_s=_or(given.drain_timeout, DRAIN_TIMEOUT_S),
        queue_timeout_s=_or(given.queue_timeout, QUEUE_TIMEOUT_S),
        queue_size=given.queue_size or QUEUE_SIZE,
        min_residency_s=_or(given.min_residency, MIN_RESIDENCY_S),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else float(value)
