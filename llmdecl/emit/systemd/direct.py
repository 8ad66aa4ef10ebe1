"""Models without a router: a socket and a proxy a model, and no process of ours.

systemd.socket(5), systemd-socket-proxyd(8). The proxy ends once nobody has used it for the model's
`ttl`; then nothing needs the model, and it stops.
"""

import math
from collections.abc import Iterator

from llmdecl.emit.dialects.systemd import section
from llmdecl.emit.systemd import names, sandbox, sockets
from llmdecl.emit.systemd.mode import PROXY, Mode
from llmdecl.emit.systemd.sandbox import Directive
from llmdecl.plan.model import ModelPlan, Root

RESTART_S = 5


def socket(model: ModelPlan, mode: Mode) -> str:
    """Listens for one model."""
    unit = (("Description", f"llmdecl: socket of {model.name}"), ("PartOf", names.TARGET))
    return "\n".join((section("Unit", unit), section("Socket", _socket(model, mode))))


def _socket(model: ModelPlan, mode: Mode) -> Iterator[Directive]:
    yield "Service", names.proxy_of(model.name)
    seen = set[Directive]()
    for where in model.listens:
        for directive in sockets.listening(where, mode):
            if directive not in seen:
                seen.add(directive)
                yield directive


def proxy(model: ModelPlan, mode: Mode) -> str:
    """Brings the model up with itself, and lets go of it when it has been idle."""
    service = names.of_model(model.name)
    unit = (
        ("Description", f"llmdecl: proxy of {model.name}"),
        ("PartOf", names.TARGET),
        ("Requires", service),
        ("After", service),
    )
    return "\n".join((section("Unit", unit), section("Service", _proxy(model, mode))))


def _proxy(model: ModelPlan, mode: Mode) -> Iterator[Directive]:
    """`Type=notify` never gets ready: the proxy of version 252 does not say so."""
    idle = "" if (limit := idle_s(model)) is None else f" --exit-idle-time={limit}s"
    yield "Type", "exec"
    yield "Slice", names.SLICE
    if not mode.user:
        yield "User", names.ACCOUNT
        yield "Group", names.ACCOUNT
    yield "ExecStart", f"{PROXY}{idle} {mode.roots[Root.RUN]}/{model.socket}"
    yield "UMask", "0007"
    yield from sandbox.closed(mode)
    yield from sandbox.users(mode, private=True)
    yield from sandbox.network(reaches=False)
    yield from sandbox.devices(frozenset())
    yield from sandbox.calls(resources=False)
    yield "MemoryDenyWriteExecute", "yes"
    yield "ProcSubset", "pid"


def idle_s(model: ModelPlan) -> int | None:
    """Whole seconds from the last connection's end; `None`: for ever. 0 would be that, too."""
    return None if model.ttl_s is None else max(1, math.ceil(model.ttl_s))
