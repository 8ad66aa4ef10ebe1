"""What differs between two locks, in words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from llmdecl.spec.address import address
from llmdecl.store.model import Lock, LockedEngine, LockedWeights
from llmdecl.store.pins import describe_engine, pins
from llmdecl.store.wanted import Wanted
from llmdecl.units import format_bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One line: `+` new, `-` gone, `~` different; what, and from what to what."""

    sign: Literal["+", "-", "~"]
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.sign} {self.what}  {self.text}"


def short(digest: str) -> str:
    """Enough of a digest to tell it from others."""
    return digest[:12]


def weights_bytes(weights: LockedWeights) -> int:
    """Size of all parts."""
    return sum(file.size_bytes for file in weights.files)


def compare(before: Lock, after: Lock) -> tuple[Change, ...]:
    """Everything that is added, gone or pinned otherwise: engines, weights, ports."""
    return (*_engines(before, after), *_weights(before, after), *ports(before, after.ports))


def _engines(before: Lock, after: Lock) -> Iterator[Change]:
    for name in sorted({*before.engines, *after.engines}):
        old, new = before.engines.get(name), after.engines.get(name)
        what = f"engines.{name}"
        if new is None and old is not None:
            yield Change("-", what, f"{describe_engine(old)}, no longer in the spec")
        elif old is None and new is not None:
            yield Change("+", what, f"{describe_engine(new)}, sha256 {short(new.digest)}")
        elif old is not None and new is not None and old != new:
            yield Change("~", what, _engine_change(old, new))


def _engine_change(old: LockedEngine, new: LockedEngine) -> str:
    if describe_engine(old) != describe_engine(new):
        return f"{describe_engine(old)} -> {describe_engine(new)}"
    if old.digest != new.digest:
        return f"{describe_engine(new)}, sha256 {short(old.digest)} -> {short(new.digest)}"
    return f"{describe_engine(new)}, what it says of itself is read anew"


def _weights(before: Lock, after: Lock) -> Iterator[Change]:
    for source in sorted({*before.weights, *after.weights}):
        old, new = before.weights.get(source), after.weights.get(source)
        if new is None and old is not None:
            yield Change("-", source, "no longer in the spec")
        elif old is None and new is not None:
            size = format_bytes(weights_bytes(new))
            yield Change("+", source, f"{size}, sha256 {short(new.digest)}")
        elif old is not None and new is not None and old.digest != new.digest:
            yield Change("~", source, f"sha256 {short(old.digest)} -> {short(new.digest)}")
        elif old is not None and new is not None and old != new:
            yield Change("~", source, "what is known of the file is read anew")


def ports(before: Lock, after: Mapping[str, int]) -> Iterator[Change]:
    """Ports of models that the lock has not, has no use for, or has otherwise."""
    for name in sorted({*before.ports, *after}):
        old, new = before.ports.get(name), after.get(name)
        what = address("models", name)
        if old is None:
            yield Change("+", what, f"port {new}")
        elif new is None:
            yield Change("-", what, f"port {old}, no longer needed")
        elif old != new:
            yield Change("~", what, f"port {old} -> {new}")


def behind(wants: Wanted, lock: Lock) -> tuple[Change, ...]:
    """Where lock and spec differ, as far as they tell themselves; no file is looked at."""
    found = []
    for each in wants.engines:
        locked = lock.engines.get(each.name)
        if locked is None:
            found.append(Change("+", each.address, "is not locked"))
        elif not pins(each, locked):
            found.append(Change("~", each.address, f"is locked as {describe_engine(locked)}"))
    names = {each.name for each in wants.engines}
    found += [
        Change("-", f"engines.{name}", "is locked, and no longer in the spec")
        for name in sorted({*lock.engines} - names)
    ]
    sources = {each.key for each in wants.sources}
    found += [Change("+", each, "is not locked") for each in sorted(sources - {*lock.weights})]
    found += [
        Change("-", each, "is locked, and no longer in the spec")
        for each in sorted({*lock.weights} - sources)
    ]
    return tuple(found)
