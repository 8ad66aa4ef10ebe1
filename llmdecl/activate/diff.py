"""Planned against applied: every difference with its effect class, reason and consequence. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llmdecl.activate import effects, phrases
from llmdecl.activate.changes import Change, ChangeSet, Symbol
from llmdecl.activate.drift import drift
from llmdecl.activate.effects import Effect
from llmdecl.activate.live import Live, Version
from llmdecl.activate.phrases import RELOADS
from llmdecl.plan.model import Budget, EndpointPlan, ModelPlan, Plan, RouterPlan, Setting
from llmdecl.units import format_bytes

DERIVED = ("digest", "socket", "n_ctx", "n_ctx_slot", "parallel", "memory", "executable")
"""Model fields that follow from others: named only when nothing else explains the same effect."""

SPEC_KEYS = {"ttl_s": "ttl", "start_timeout_s": "start-timeout", "system_prompt": "system-prompt"}

Show = Callable[[Any], str]

SHOWN: dict[str, Show] = {
    "aliases": phrases.names,
    "ttl_s": phrases.duration,
    "start_timeout_s": phrases.duration,
    "system_prompt": lambda text: "unset" if text is None else f"`{phrases.short(text)}`",
    "weights": phrases.weights,
    "memory": phrases.claims,
    "executable": phrases.word,
    "digest": lambda text: text[:12],
    "models": phrases.names,
    "apis": phrases.names,
    "listen": phrases.listen,
    "api_keys_file": lambda path: path or "unset",
    "drain_timeout_s": phrases.duration,
    "queue_timeout_s": phrases.duration,
    "min_residency_s": phrases.duration,
    "total_bytes": format_bytes,
    "margin_bytes": format_bytes,
}
"""How a field's value reads in a reason; `str` for the rest."""


def diff(current: Version | None, planned: Version, live: Live) -> ChangeSet:
    """What apply would do to go from `current` (`None`: nothing was applied) to `planned`.

    Empty when the plan is the same and the world is as it was applied.
    """
    old = current.plan if current else None
    changes = [
        *_engines(old, planned.plan, live),
        *_models(old, planned, live),
        *_endpoints(old, planned.plan),
        *_router(old, planned.plan),
        *_budgets(old, planned.plan),
    ]
    if current is not None:
        changes += _texts(current, planned, changes)
    changes += drift(current, planned, live)
    return ChangeSet(changes=tuple(changes), restarts=_restarts(current, planned, live, changes))


def _restarts(
    current: Version | None, planned: Version, live: Live, changes: Iterable[Change]
) -> tuple[str, ...]:
    """Running models whose process ends, because what it reads is no longer what is planned."""
    running = live.running()
    if any(change.effect is Effect.STACK for change in changes):
        return tuple(sorted(running))
    new = {model.name: model for model in planned.plan.models}
    ran = {p.name: p.running for p in live.manager.programs} if live.manager else {}
    ends = []
    for name in running:
        path = f"supervisord/models/{name}.conf"
        text_differs = current is not None and current.files.get(path) != planned.files.get(path)
        if name not in new or text_differs or ran[f"model-{name}"] != new[name].digest:
            ends.append(name)
    return tuple(sorted(ends))


def _models(old: Plan | None, planned: Version, live: Live) -> Iterator[Change]:
    before = {model.name: model for model in old.models} if old else {}
    after = {model.name: model for model in planned.plan.models}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            ends = name in live.running()
            yield Change(
                symbol=Symbol.REMOVE,
                address=f"models.{name}",
                effect=Effect.MODEL,
                reason="no longer in the spec",
                consequence=f"drains and stops {name}" if ends else f"{name} is not running",
            )
        elif name not in before:
            yield _added(after[name], live)
        else:
            yield from _edited(before[name], after[name], live)


def _added(model: ModelPlan, live: Live) -> Change:
    absent = _absent(model, live)
    starts = "starts now" if model.load == "startup" else "starts with its first request"
    fetched = f"downloads {format_bytes(absent)}, then " if absent else ""
    return Change(
        symbol=Symbol.ADD,
        address=f"models.{model.name}",
        effect=Effect.FETCH if absent else Effect.MODEL,
        reason=f"{model.task}, ctx-size {model.n_ctx_slot}, {phrases.claims(model.memory)}",
        consequence=f"{fetched}{starts}",
    )


def _absent(model: ModelPlan, live: Live) -> int:
    """Bytes of its weights that are not in the store."""
    return sum(w.size_bytes for w in model.weights if f"weights/{w.digest}" in live.absent)


def _edited(old: ModelPlan, new: ModelPlan, live: Live) -> Iterator[Change]:
    """Changes of one model: what people wrote; what follows from it only if that is all."""
    restarts = old.digest != new.digest
    found: list[Change] = [
        *_settings(old, new, live),
        *_environment(old, new, live),
        *_weights(old, new, live),
        *_sampling(old, new),
    ]
    if old.executable != new.executable:
        reason = f"engine {phrases.word(old.executable)} -> {phrases.word(new.executable)}"
        found.append(_of_model(new, live, "engine", Effect.ENGINE, reason))
    apart = {*DERIVED, "settings", "environment", "weights", "sampling"}
    for field, effect in effects.MODEL.items():
        if field in apart or effect is Effect.NONE:
            continue
        found += _field(f"models.{new.name}", field, effect, old, new)
    explained = {change.effect for change in found}
    acts = explained - {Effect.ROUTER}
    if restarts and not acts:
        found.append(_of_model(new, live, "", Effect.MODEL, "what its process reads changed"))
    if not explained and not restarts:
        for field in ("memory", "n_ctx_slot", "parallel"):
            found += _field(f"models.{new.name}", field, Effect.ROUTER, old, new)
    yield from found


def _of_model(
    model: ModelPlan, live: Live, key: str, effect: Effect, reason: str, *, address: str = ""
) -> Change:
    where = address or (f"models.{model.name}.{key}" if key else f"models.{model.name}")
    return Change(
        symbol=Symbol.EDIT,
        address=where,
        effect=effect,
        reason=reason,
        consequence=_restart_of(model, live),
    )


def _restart_of(model: ModelPlan, live: Live) -> str:
    if model.name in live.running():
        return f"restarts model {model.name} after draining"
    if model.load == "startup":
        return f"starts model {model.name}"
    return f"model {model.name} is not running; its next start has it"


def _settings(old: ModelPlan, new: ModelPlan, live: Live) -> Iterator[Change]:
    """Flags whose arguments differ, in the order of the new command line."""
    before, after = _by_flag(old.settings), _by_flag(new.settings)
    moved = False
    for flag in dict.fromkeys((*after, *before)):
        was, now = before.get(flag, []), after.get(flag, [])
        if [s.values for s in was] == [s.values for s in now]:
            continue
        moved = True
        if _is_path_of_weights(was, now):
            continue  # the change of weights says it
        shown = [
            " ".join(phrases.setting(s) for s in side) or phrases.setting(None)
            for side in (was, now)
        ]
        written = (now or was)[0]
        reason = f"{flag.lstrip('-')} {shown[0]} -> {shown[1]}"
        address = written.address
        if not address.startswith(f"models.{new.name}"):
            reason += f" ({address})"
            address = f"models.{new.name}.{flag.lstrip('-')}"
        yield _of_model(new, live, "", Effect.MODEL, reason, address=address)
    if not moved and [s.flag for s in old.settings] != [s.flag for s in new.settings]:
        yield _of_model(new, live, "", Effect.MODEL, "order of flags")


def _by_flag(settings: tuple[Setting, ...]) -> dict[str, list[Setting]]:
    table: dict[str, list[Setting]] = {}
    for setting in settings:
        table.setdefault(setting.flag, []).append(setting)
    return table


def _is_path_of_weights(was: list[Setting], now: list[Setting]) -> bool:
    sides = [
        [word.text for setting in side for word in setting.values if word.root is not None]
        for side in (was, now)
    ]
    return bool(sides[0] and sides[1]) and all(
        text.startswith("/weights/") for side in sides for text in side
    )


def _environment(old: ModelPlan, new: ModelPlan, live: Live) -> Iterator[Change]:
    before, after = dict(old.environment), dict(new.environment)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            was, now = (
                phrases.short(side[key]) if key in side else "unset" for side in (before, after)
            )
            address = f"models.{new.name}.environment.{key}"
            reason = f"{key} {was} -> {now}"
            yield _of_model(new, live, "", Effect.MODEL, reason, address=address)
    if before == after and old.environment != new.environment:
        yield _of_model(new, live, "environment", Effect.MODEL, "order of variables")


def _weights(old: ModelPlan, new: ModelPlan, live: Live) -> Iterator[Change]:
    """A new digest is other weights; another source of the same digest is nothing."""
    for role, key in (("model", "source"), ("draft", "draft.source"), ("lora", "lora")):
        was, now = (tuple(w for w in model.weights if w.role == role) for model in (old, new))
        if [w.digest for w in was] == [w.digest for w in now]:
            continue
        change = _of_model(
            new, live, key, Effect.FETCH, f"{phrases.weights(was)} -> {phrases.weights(now)}"
        )
        absent = sum(w.size_bytes for w in now if f"weights/{w.digest}" in live.absent)
        if absent:
            consequence = f"downloads {format_bytes(absent)}, then {change.consequence}"
            change = change.replace(consequence=consequence)
        yield change


def _sampling(old: ModelPlan, new: ModelPlan) -> Iterator[Change]:
    before = {s.key: s.value for s in old.sampling}
    after = {s.key: s.value for s in new.sampling}
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield Change(
                symbol=Symbol.EDIT,
                address=f"models.{new.name}.sampling.{key.replace('_', '-')}",
                effect=Effect.ROUTER,
                reason=f"{key} {before.get(key, 'unset')} -> {after.get(key, 'unset')}",
                consequence=RELOADS,
            )


def _field(address: str, field: str, effect: Effect, old: object, new: object) -> Iterator[Change]:
    """One plain field, named as in the spec."""
    was, now = getattr(old, field), getattr(new, field)
    if was == now or effect is Effect.NONE:
        return
    key = SPEC_KEYS.get(field, field.removesuffix("_s").replace("_", "-"))
    show = SHOWN.get(field, str)
    yield Change(
        symbol=Symbol.EDIT,
        address=f"{address}.{key}",
        effect=effect,
        reason=f"{key} {show(was)} -> {show(now)}",
        consequence=RELOADS,
    )


def _engines(old: Plan | None, planned: Plan, live: Live) -> Iterator[Change]:
    before = {engine.name: engine for engine in old.engines} if old else {}
    for engine in planned.engines:
        was = before.get(engine.name)
        fetched = phrases.word(engine.executable).removeprefix("{store}/") in live.absent
        if was is None and fetched:
            yield Change(
                symbol=Symbol.ADD,
                address=f"engines.{engine.name}",
                effect=Effect.FETCH,
                reason=engine.version,
                consequence="downloads it",
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
            address=f"engines.{engine.name}",
            effect=Effect.ENGINE,
            reason=reason,
            consequence=("downloads it; " if fetched else "")
            + (restarts if users else "no running model uses it"),
        )


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
                yield from _field(f"endpoints.{name}", field, effect, before[name], after[name])


def _endpoint(symbol: Symbol, endpoint: EndpointPlan, reason: str, does: str) -> Change:
    return Change(
        symbol=symbol,
        address=f"endpoints.{endpoint.name}",
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
            consequence="everything restarts after draining",
        )
    was: RouterPlan = old.router
    for field, effect in effects.ROUTER.items():
        yield from _field("router", field, effect, was, planned.router)


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
            consequence=RELOADS,
        )


def _texts(current: Version, planned: Version, known: list[Change]) -> Iterator[Change]:
    """Artefacts that differ although no field of the plan says why: another version of llmdecl."""
    differing = {
        path
        for path in current.files.keys() | planned.files.keys()
        if current.files.get(path) != planned.files.get(path)
    }
    explained = {c.address.split(".")[1] for c in known if c.address.startswith("models.")}
    reason = "its text changed, by another version of llmdecl"
    for path in sorted(differing):
        address, effect, consequence = path, Effect.ROUTER, RELOADS
        if path == "supervisord/supervisord.conf":
            address, effect = "supervisord", Effect.STACK
            consequence = "everything restarts after draining"
        elif path == "supervisord/router.conf":
            address, consequence = "router", "router restarts after draining"
        elif path.startswith("supervisord/models/"):
            name = path.removeprefix("supervisord/models/").removesuffix(".conf")
            if _names_model(name, explained, known):
                continue
            address, effect = f"models.{name}", Effect.MODEL
            consequence = f"restarts model {name} after draining"
        elif known:
            continue  # router.json follows from the plan
        yield Change(
            symbol=Symbol.EDIT,
            address=address,
            effect=effect,
            reason=reason,
            consequence=consequence,
        )


def _names_model(name: str, first_parts: set[str], known: list[Change]) -> bool:
    """Whether a change speaks of this model; names may hold dots."""
    prefix = f"models.{name}"
    return name in first_parts or any(
        c.address == prefix or c.address.startswith(f"{prefix}.") for c in known
    )
