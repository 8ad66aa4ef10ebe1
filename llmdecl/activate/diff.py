"""Planned against applied: every difference with its effect class, reason and consequence. Pure."""

from collections.abc import Iterable, Iterator

from llmdecl.activate import effects, phrases
from llmdecl.activate.changes import Change, ChangeSet, Symbol
from llmdecl.activate.diff_fields import field_change
from llmdecl.activate.diff_models import model_changes
from llmdecl.activate.drift import drift
from llmdecl.activate.effects import Effect
from llmdecl.activate.live import ENGINE_FILES, ROUTER_FILES, Live, Version
from llmdecl.activate.phrases import RELOADS, RENEWS, RESTARTS_ALL, RESTARTS_ROUTER, SHRINKS
from llmdecl.emit.systemd import router
from llmdecl.emit.systemd.mode import SYSTEM, USER
from llmdecl.plan.model import Budget, EndpointPlan, EnginePlan, Plan, RouterPlan
from llmdecl.spec.address import address as address_of
from llmdecl.units import format_bytes


def diff(current: Version | None, planned: Version, live: Live) -> ChangeSet:
    """What apply would do to go from `current` (`None`: nothing was applied) to `planned`.

    Empty when the plan is the same and the world is as it was applied.
    """
    old = current.plan if current else None
    changes = [
        *_engines(old, planned.plan, live),
        *model_changes(old, planned, live),
        *_endpoints(old, planned.plan),
        *_router(old, planned.plan),
        *_budgets(old, planned.plan),
    ]
    if current is not None and current.plan.manager == planned.plan.manager:
        changes += _texts(current, planned, changes)
    if old is not None and _replaces_router(old, planned.plan):
        changes = [_with_restart(change) for change in changes]
    if planned.plan.router.kind == "none":
        changes = [_without_router(change) for change in changes]
    changes += drift(current, planned, live)
    return ChangeSet(changes=tuple(changes), restarts=_restarts(current, planned, live, changes))


def _replaces_router(old: Plan, planned: Plan) -> bool:
    """Whether the router's unit differs in what a reload does not reach: sockets, keys, rights."""
    modes = {"systemd": SYSTEM, "systemd-user": USER}
    if old.manager != planned.manager or planned.manager not in modes:
        return False
    if {old.router.kind, planned.router.kind} != {"llmdecl"}:
        return False
    mode = modes[planned.manager]
    return router.digest(old, mode) != router.digest(planned, mode)


def _with_restart(change: Change) -> Change:
    """What is said of endpoints, which is where such a difference comes from."""
    if not change.address.startswith("endpoints."):
        return change
    if change.consequence == RELOADS:
        return change.replace(consequence=RESTARTS_ROUTER)
    return change.replace(consequence=f"{change.consequence}, and restarts after draining")


def _without_router(change: Change) -> Change:
    """Nothing reloads where there is no router: what is said of one model is its proxy's."""
    if change.consequence != RELOADS:
        return change
    of_model = change.address.startswith("models.")
    return change.replace(consequence=RENEWS if of_model else "systemd reloads its units")


def _restarts(
    current: Version | None, planned: Version, live: Live, changes: Iterable[Change]
) -> tuple[str, ...]:
    """Running models whose process ends, because what it reads is no longer what is planned."""
    running = live.running()
    if any(change.effect is Effect.STACK for change in changes):
        return tuple(sorted(running))
    new = {model.name: model for model in planned.plan.models}
    if planned.plan.router.kind == "llama-swap":  # it stops all its models when anything changes
        path = ROUTER_FILES[planned.plan.router.kind]
        same = current is not None and current.files.get(path) == planned.files.get(path)
        return () if same else tuple(sorted(running))
    ran = {p.name: p.running for p in live.manager.programs} if live.manager else {}
    ends = []
    for name in running:
        path = f"supervisord/models/{name}.conf"
        text_differs = current is not None and current.files.get(path) != planned.files.get(path)
        if name not in new or text_differs or ran[f"model-{name}"] != new[name].digest:
            ends.append(name)
    return tuple(sorted(ends))


def _engines(old: Plan | None, planned: Plan, live: Live) -> Iterator[Change]:
    before = {engine.name: engine for engine in old.engines} if old else {}
    for engine in planned.engines:
        was = before.get(engine.name)
        fetched = phrases.word(engine.executable).removeprefix("{store}/") in live.absent
        if was is None and fetched:
            yield Change(
                symbol=Symbol.ADD,
                address=address_of("engines", engine.name),
                effect=Effect.FETCH,
                reason=engine.version,
                consequence=_supply(engine),
            )
        if was is None or (was.digest, was.executable) == (engine.digest, engine.executable):
            continue
        users = tuple(
            m.name
            for m in planned.models
            if m.executable == engine.executable and m.name in live.running()
        )
        restarts = f"restarts {phrases.names(users)} one after another, after draining"
        reason = f"version {was.version} -> {engine.version}"
        if was.version == engine.version:
            reason = f"digest {was.digest[:12]} -> {engine.digest[:12]}"
        yield Change(
            symbol=Symbol.EDIT,
            address=address_of("engines", engine.name),
            effect=Effect.ENGINE,
            reason=reason,
            consequence=(f"{_supply(engine)}; " if fetched else "")
            + (restarts if users else "no running model uses it"),
        )


def _supply(engine: EnginePlan) -> str:
    """How an engine that is not here gets here."""
    return "downloads it" if engine.recipe is None else "builds it"


def _endpoints(old: Plan | None, planned: Plan) -> Iterator[Change]:
    before = {endpoint.name: endpoint for endpoint in old.endpoints} if old else {}
    after = {endpoint.name: endpoint for endpoint in planned.endpoints}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield _endpoint(Symbol.REMOVE, before[name], "no longer in the spec", "closes")
        elif name not in before:
            reason = f"serves {phrases.names(after[name].models)}"
            yield _endpoint(Symbol.ADD, after[name], reason, "opens")
        else:
            for field, effect in effects.ENDPOINT.items():
                yield from field_change(
                    address_of("endpoints", name), field, effect, before[name], after[name]
                )


def _endpoint(symbol: Symbol, endpoint: EndpointPlan, reason: str, does: str) -> Change:
    return Change(
        symbol=symbol,
        address=address_of("endpoints", endpoint.name),
        effect=Effect.ROUTER,
        reason=reason,
        consequence=f"router {does} {phrases.listen(endpoint.listen)}",
    )


def _router(old: Plan | None, planned: Plan) -> Iterator[Change]:
    if old is None:
        return
    if old.manager != planned.manager:
        yield Change(
            symbol=Symbol.EDIT,
            address="manager.kind",
            effect=Effect.STACK,
            reason=f"manager {old.manager} -> {planned.manager}",
            consequence=RESTARTS_ALL,
        )
    if old.socket_activation != planned.socket_activation:
        was_on, on = (str(p.socket_activation).lower() for p in (old, planned))
        yield Change(
            symbol=Symbol.EDIT,
            address="manager.socket-activation",
            effect=Effect.ROUTER,
            reason=f"socket-activation {was_on} -> {on}",
            consequence=RESTARTS_ROUTER,
        )
    was: RouterPlan = old.router
    for field, effect in effects.ROUTER.items():
        yield from field_change("router", field, effect, was, planned.router)


def _budgets(old: Plan | None, planned: Plan) -> Iterator[Change]:
    if old is None:
        return
    before: dict[str, Budget] = {budget.pool: budget for budget in old.budgets}
    after = {budget.pool: budget for budget in planned.budgets}
    for pool in sorted(before.keys() | after.keys()):
        was, now = before.get(pool), after.get(pool)
        if was == now:
            continue
        shown = [format_bytes(side.bytes) if side else "none" for side in (was, now)]
        yield Change(
            symbol=Symbol.EDIT if was and now else Symbol.ADD if now else Symbol.REMOVE,
            address="host.ram" if pool == "host" else f"host.devices.{pool}",
            effect=Effect.ROUTER,
            reason=f"budget of {pool} {shown[0]} -> {shown[1]}",
            consequence=SHRINKS if was and now and now.bytes < was.bytes else RELOADS,
        )


def _texts(current: Version, planned: Version, known: list[Change]) -> Iterator[Change]:
    """Artefacts that differ although no field of the plan says why: another version of llmdecl."""
    differing = {
        path
        for path in current.files.keys() | planned.files.keys()
        if current.files.get(path) != planned.files.get(path)
    }
    reason = "its text changed, by another version of llmdecl"
    for path in sorted(differing):
        address, effect, consequence = path, Effect.ROUTER, RELOADS
        if path == "supervisord/supervisord.conf":
            address, effect = "supervisord", Effect.STACK
            consequence = RESTARTS_ALL
        elif path == "supervisord/router.conf":
            address, consequence = "router", RESTARTS_ROUTER
        elif path.startswith("supervisord/models/"):
            name = path.removeprefix("supervisord/models/").removesuffix(".conf")
            if _names_model(name, known):
                continue
            address, effect = address_of("models", name), Effect.MODEL
            consequence = f"restarts model {name} after draining"
        elif path.startswith("systemd/") and not known:
            consequence = "is installed; restarts the router if it is the router's"
        elif known or path.startswith(ENGINE_FILES):
            continue  # router.json follows from the plan, and nothing reads how engines are built
        yield Change(
            symbol=Symbol.EDIT,
            address=address,
            effect=effect,
            reason=reason,
            consequence=consequence,
        )


def _names_model(name: str, known: list[Change]) -> bool:
    """Whether a change speaks of this model."""
    prefix = address_of("models", name)
    return any(c.address == prefix or c.address.startswith(f"{prefix}.") for c in known)
