"""systemd: one service a model, started by the router; services for the router and
what brings weights, a target, a slice.

Measured behaviour behind this: sockets, sandboxes and NixOS' switch-to-configuration; the unit text
holds no path of a generation, so an unchanged model's unit is unchanged bytes.
"""

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.systemd import access, direct, fetch, model, names, router, sockets, stack
from llmdecl.emit.systemd.mode import SYSTEM, USER, Mode
from llmdecl.plan.model import Plan


def emit_system(plan: Plan) -> ArtefactSet:
    """Units for the system's manager, the account they run as, and what the router may do."""
    return (
        *_units(plan, SYSTEM),
        *_rights(plan),
        Artefact(path="sysusers/llmdecl.conf", text=access.sysusers()),
    )


def _rights(plan: Plan) -> ArtefactSet:
    """Nobody asks systemd for anything where there is no router of ours."""
    if plan.router.kind == "none":
        return ()
    return (Artefact(path="polkit/llmdecl.rules", text=access.polkit(plan)),)


def emit_user(plan: Plan) -> ArtefactSet:
    """Units for a user's own manager."""
    return _units(plan, USER)


def _units(plan: Plan, mode: Mode) -> ArtefactSet:
    units = {
        names.SLICE: stack.slice_(plan),
        names.TARGET: stack.target(plan, mode),
        names.FETCH: fetch.service(mode),
        **{names.of_model(each.name): model.service(each, plan, mode) for each in plan.models},
    }
    if plan.router.kind == "none":
        for each in plan.models:
            units[names.socket_of_model(each.name)] = direct.socket(each, mode)
            units[names.proxy_of(each.name)] = direct.proxy(each, mode)
    else:
        units[names.ROUTER] = router.service(plan, mode)
    if plan.socket_activation:
        units |= {
            names.of_endpoint(each.name): sockets.of_endpoint(each, mode) for each in plan.endpoints
        }
    return tuple(Artefact(path=f"systemd/{name}", text=text) for name, text in units.items())
