"""Models of two plans: what people wrote, and what it costs the process. Pure."""

from collections.abc import Iterable, Iterator

from llmdecl.activate import effects, phrases
from llmdecl.activate.changes import Change, Symbol
from llmdecl.activate.diff_fields import field_change
from llmdecl.activate.effects import Effect
from llmdecl.activate.live import Live, Version
from llmdecl.activate.phrases import RELOADS
from llmdecl.plan.model import ModelPlan, Plan, Setting, WeightsPlan
from llmdecl.spec.address import address as address_of
from llmdecl.units import format_bytes

DERIVED = (
    "digest",
    "socket",
    "placement",
    "n_ctx",
    "n_ctx_slot",
    "parallel",
    "memory",
    "executable",
)
"""Model fields that follow from others: named only when nothing else explains the same effect."""


def model_changes(old: Plan | None, planned: Version, live: Live) -> Iterator[Change]:
    """Models that came, went or were edited, by name."""
    before = {model.name: model for model in old.models} if old else {}
    after = {model.name: model for model in planned.plan.models}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            ends = name in live.running()
            yield Change(
                symbol=Symbol.REMOVE,
                address=address_of("models", name),
                effect=Effect.MODEL,
                reason="no longer in the spec",
                consequence=f"drains and stops {name}" if ends else f"{name} is not running",
            )
        elif name not in before:
            yield _added(after[name], live)
        else:
            yield from _edited(before[name], after[name], live)


def _added(model: ModelPlan, live: Live) -> Change:
    first = _first(model.weights, live)
    starts = "starts now" if model.load == "startup" else "starts with its first request"
    return Change(
        symbol=Symbol.ADD,
        address=address_of("models", model.name),
        effect=Effect.FETCH if first else Effect.MODEL,
        reason=f"{model.task}, ctx-size {model.n_ctx_slot}, {phrases.claims(model.memory)}",
        consequence=f"{first}{starts}",
    )


def _first(weights: Iterable[WeightsPlan], live: Live) -> str:
    """What has to be brought into the store before anything else, as the head of a consequence."""
    absent = [w for w in weights if f"weights/{w.digest}" in live.absent]
    if not absent:
        return ""
    if all(w.source.startswith("file:") for w in absent):
        return "links its file, then "
    return f"downloads {format_bytes(sum(w.size_bytes for w in absent))}, then "


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
        found += field_change(address_of("models", new.name), field, effect, old, new)
    explained = {change.effect for change in found}
    acts = explained - {Effect.ROUTER}
    if restarts and not acts:
        found.append(_of_model(new, live, "", Effect.MODEL, "what its process reads changed"))
    if not explained and not restarts:
        for field in ("memory", "n_ctx_slot", "parallel"):
            found += field_change(address_of("models", new.name), field, Effect.ROUTER, old, new)
    yield from found


def _of_model(
    model: ModelPlan, live: Live, key: str, effect: Effect, reason: str, *, address: str = ""
) -> Change:
    where = address or (
        address_of("models", model.name, key) if key else address_of("models", model.name)
    )
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
        if not address.startswith(address_of("models", new.name)):
            reason += f" ({address})"
            address = address_of("models", new.name, flag.lstrip("-"))
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
            address = address_of("models", new.name, "environment", key)
            reason = f"{key} {was} -> {now}"
            yield _of_model(new, live, "", Effect.MODEL, reason, address=address)
    if before == after and old.environment != new.environment:
        yield _of_model(new, live, "environment", Effect.MODEL, "order of variables")


def _weights(old: ModelPlan, new: ModelPlan, live: Live) -> Iterator[Change]:
    """A new digest is other weights; another source of the same digest is nothing."""
    for role, key in (
        ("model", "source"),
        ("draft", "draft.source"),
        ("mmproj", "mmproj.source"),
        ("lora", "lora"),
    ):
        was, now = (tuple(w for w in model.weights if w.role == role) for model in (old, new))
        if [w.digest for w in was] == [w.digest for w in now]:
            continue
        change = _of_model(
            new, live, key, Effect.FETCH, f"{phrases.weights(was)} -> {phrases.weights(now)}"
        )
        yield change.replace(consequence=_first(now, live) + change.consequence)


def _sampling(old: ModelPlan, new: ModelPlan) -> Iterator[Change]:
    before = {s.key: s.value for s in old.sampling}
    after = {s.key: s.value for s in new.sampling}
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield Change(
                symbol=Symbol.EDIT,
                address=address_of("models", new.name, "sampling", key.replace("_", "-")),
                effect=Effect.ROUTER,
                reason=f"{key} {before.get(key, 'unset')} -> {after.get(key, 'unset')}",
                consequence=RELOADS,
            )
