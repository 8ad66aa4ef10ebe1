"""What differs between two locks, in words. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar

from llmdecl.spec.address import address
from llmdecl.store.model import Lock, LockedEngine, LockedWeights
from llmdecl.store.pins import describe_engine, pins
from llmdecl.store.reasons import (
    engine_reasons,
    licence,
    revision,
    short,
    weights_bytes,
    weights_reasons,
)
from llmdecl.store.wanted import Wanted
from llmdecl.units import format_bytes

T = TypeVar("T")

__all__ = ["Change", "behind", "compare", "ports", "short", "weights_bytes"]


@dataclass(frozen=True, slots=True)
class Change:
    """`+` new, `-` gone, `~` different; what, why in words, and the models that it touches."""

    sign: Literal["+", "-", "~"]
    what: str
    reasons: tuple[str, ...]
    models: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.sign} {self.what}  {', '.join(self.reasons)}{self.touched}"

    @property
    def touched(self) -> str:
        """The models, as the end of a line."""
        return f"  ({', '.join(self.models)})" if self.models else ""


Users = Mapping[str, tuple[str, ...]]
"""Models by `engines.NAME` or the key of a source, as `wanted.users` has them."""


def compare(before: Lock, after: Lock, users: Users = MappingProxyType({})) -> tuple[Change, ...]:
    """Everything that is added, gone or pinned otherwise: engines, weights, ports."""
    engines = {f"engines.{name}": engine for name, engine in before.engines.items()}
    new_engines = {f"engines.{name}": engine for name, engine in after.engines.items()}
    return (
        *_each(engines, new_engines, users, _new_engine, engine_reasons),
        *_each(before.weights, after.weights, users, _new_weights, weights_reasons),
        *ports(before, after.ports),
    )


def _each(
    before: Mapping[str, T],
    after: Mapping[str, T],
    users: Users,
    new: Callable[[T], tuple[str, ...]],
    reasons: Callable[[T, T], tuple[str, ...]],
) -> Iterator[Change]:
    for what in sorted({*before, *after}):
        old, now = before.get(what), after.get(what)
        models = users.get(what, ())
        if now is None:
            yield Change("-", what, ("no longer in the spec",), models)
        elif old is None:
            yield Change("+", what, new(now), models)
        elif old != now:
            yield Change("~", what, reasons(old, now), models)


def _new_engine(engine: LockedEngine) -> tuple[str, ...]:
    built = "built by `llmdecl build`" if engine.recipe is not None else None
    return (describe_engine(engine), built or f"sha256 {short(engine.digest)}")


def _new_weights(weights: LockedWeights) -> tuple[str, ...]:
    origin = weights.origin
    found = [format_bytes(weights_bytes(weights))]
    if len(weights.files) > 1:
        found.append(f"{len(weights.files)} parts")
    if origin is not None and origin.revision is not None:
        found.append(f"revision {revision(origin)}")
    if (words := licence(weights)) is not None:
        found.append(f"licence {words}")
    return (*found, f"sha256 {short(weights.digest)}")


def ports(before: Lock, after: Mapping[str, int]) -> Iterator[Change]:
    """Ports of models that the lock has not, has no use for, or has otherwise."""
    for name in sorted({*before.ports, *after}):
        old, new = before.ports.get(name), after.get(name)
        what = address("models", name)
        if old is None:
            yield Change("+", what, (f"port {new}",))
        elif new is None:
            yield Change("-", what, (f"port {old}", "no longer needed"))
        elif old != new:
            yield Change("~", what, (f"port {old} -> {new}",))


def behind(wants: Wanted, lock: Lock) -> tuple[Change, ...]:
    """Where lock and spec differ, as far as they tell themselves; no file is looked at."""
    found = []
    for each in wants.engines:
        locked = lock.engines.get(each.name)
        if locked is None:
            found.append(Change("+", each.address, ("is not locked",)))
        elif not pins(each, locked):
            found.append(Change("~", each.address, (f"is locked as {describe_engine(locked)}",)))
    names = {each.name for each in wants.engines}
    found += [
        Change("-", f"engines.{name}", ("is locked", "no longer in the spec"))
        for name in sorted({*lock.engines} - names)
    ]
    sources = {each.key for each in wants.sources}
    found += [Change("+", each, ("is not locked",)) for each in sorted(sources - {*lock.weights})]
    found += [
        Change("-", each, ("is locked", "no longer in the spec"))
        for each in sorted({*lock.weights} - sources)
    ]
    return tuple(found)
