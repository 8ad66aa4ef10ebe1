"""One field of a plan as a change, named as in the spec. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmdecl.activate import phrases
from llmdecl.activate.changes import Change, Symbol
from llmdecl.activate.effects import Effect
from llmdecl.activate.phrases import RELOADS, RESTARTS_ALL
from llmdecl.units import format_bytes

SPEC_KEYS: Mapping[str, str] = {
    "ttl_s": "ttl",
    "start_timeout_s": "start-timeout",
    "system_prompt": "system-prompt",
}

Show = Callable[[Any], str]

SHOWN: Mapping[str, Show] = {
    "aliases": phrases.names,
    "alone": lambda value: str(value).lower(),
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
    "listens": lambda found: phrases.names(tuple(map(phrases.listen, found))),
    "api_keys_file": lambda path: path or "unset",
    "drain_timeout_s": phrases.duration,
    "queue_timeout_s": phrases.duration,
    "min_residency_s": phrases.duration,
    "total_bytes": format_bytes,
    "margin_bytes": format_bytes,
}
"""How a field's value reads in a reason; `str` for the rest."""


def field_change(
    address: str, field: str, effect: Effect, old: object, new: object
) -> Iterator[Change]:
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
        consequence=RESTARTS_ALL if effect is Effect.STACK else RELOADS,
    )
