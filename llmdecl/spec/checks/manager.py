"""Who keeps the processes."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic, Rule
from llmdecl.spec.address import address
from llmdecl.spec.listen import parse_listen
from llmdecl.spec.rules import NO_ROUTER_NO_SYSTEMD, SOCKET_ACTIVATION
from llmdecl.spec.schema import Spec
from llmdecl.spec.words import NO_LINE, shown

SYSTEMD = ("systemd", "systemd-user")


def check(spec: Spec) -> Iterator[Diagnostic]:
    """Whether systemd can listen for the router."""
    manager = spec.manager
    if spec.router is not None and spec.router.kind == "none":
        yield from _names(spec, NO_ROUTER_NO_SYSTEMD)
    if manager is None or not manager.socket_activation:
        return
    at = "manager.socket-activation"
    if manager.kind not in SYSTEMD:
        yield SOCKET_ACTIVATION.at(at, f"`{manager.kind or 'supervisord'}` hands over no sockets")
        return
    if spec.router is not None and spec.router.kind not in (None, "llmdecl"):
        yield SOCKET_ACTIVATION.at(at, f"`{spec.router.kind}` as router takes no sockets")
        return
    yield from _names(spec, SOCKET_ACTIVATION)


def _names(spec: Spec, rule: Rule) -> Iterator[Diagnostic]:
    for name, endpoint in sorted(spec.endpoints.items()):
        try:
            listen = parse_listen(endpoint.listen)
        except ValueError:
            continue  # reported by the endpoints' own checks
        if listen.path is not None and NO_LINE.search(listen.path):
            where = address("endpoints", name, "listen")
            summary = f"a unit can't carry the path `{shown(listen.path)}`"
            yield rule.at(where, summary)
        if listen.is_name and listen.host != "localhost":
            where = address("endpoints", name, "listen")
            summary = f"systemd looks up no name, and `{shown(endpoint.listen)}` has one"
            yield rule.at(where, summary)
