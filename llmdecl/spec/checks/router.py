"""Who routes."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.rules import (
    FOREIGN_ROUTER_MANAGER,
    NO_EFFECT,
    NO_ROUTER_NO_SYSTEMD,
    RELATIVE_ROUTER_PATH,
)
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import shown

KEEPS_IT = (None, "supervisord")
"""Managers that a router which is not ours runs under."""


def check(spec: Spec) -> Iterator[Diagnostic]:
    """The path of a router that is not ours, and who keeps it."""
    manager = spec.manager.kind if spec.manager else None
    if spec.router is not None and spec.router.kind == "llama-swap" and manager not in KEEPS_IT:
        yield FOREIGN_ROUTER_MANAGER.at("router.kind", f"`llama-swap` does not run under {manager}")
    if spec.router is not None and spec.router.kind == "none" and manager in KEEPS_IT:
        summary = f"`{manager or 'supervisord'}` starts no model by a socket"
        yield NO_ROUTER_NO_SYSTEMD.at("router.kind", summary)
    if spec.router is None or spec.router.path is None:
        return
    if spec.router.kind != "llama-swap":
        whose = "without a router" if spec.router.kind == "none" else "on our own router"
        yield NO_EFFECT.at("router.path", f"`path` has no effect {whose}")
    elif not spec.router.path.startswith("/"):
        yield RELATIVE_ROUTER_PATH.at(
            "router.path", f"`{shown(spec.router.path)}` is no absolute path"
        )
