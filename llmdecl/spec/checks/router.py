"""Who routes."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.spec.rules import NO_EFFECT, RELATIVE_ROUTER_PATH
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import shown


def check(spec: Spec) -> Iterator[Diagnostic]:
    """The path of a router that is not ours."""
    if spec.router is None or spec.router.path is None:
        return
    if spec.router.kind in (None, "llmdecl"):
        yield NO_EFFECT.at("router.path", "`path` has no effect on our own router")
    elif not spec.router.path.startswith("/"):
        yield RELATIVE_ROUTER_PATH.at(
            "router.path", f"`{shown(spec.router.path)}` is no absolute path"
        )
