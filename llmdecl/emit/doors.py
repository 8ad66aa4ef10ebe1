"""Listeners of a router that has but one, on TCP."""

from llmdecl.plan.model import EndpointPlan, Plan


def door(plan: Plan) -> EndpointPlan | None:
    """The first endpoint by name that listens on TCP."""
    return next((each for each in plan.endpoints if each.listen.port is not None), None)


def listen(endpoint: EndpointPlan) -> str:
    """`host:port`, an IPv6 address in brackets."""
    host = endpoint.listen.host or ""
    return f"[{host}]:{endpoint.listen.port}" if ":" in host else f"{host}:{endpoint.listen.port}"
