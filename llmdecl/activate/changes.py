"""A change as a value: what, why, and what it costs."""

from enum import StrEnum

from llmdecl.activate.effects import Effect
from llmdecl.values import Value


class Symbol(StrEnum):
    """`DRIFT`: the world is not as it was applied."""

    ADD = "+"
    EDIT = "~"
    REMOVE = "-"
    DRIFT = "!"


class Change(Value, frozen=True, kw_only=True):
    """One difference. `address` is a key of the spec, or the name of a running part;
    `consequence` what apply does about it, in words."""

    symbol: Symbol
    address: str
    effect: Effect
    reason: str
    consequence: str


class ChangeSet(Value, frozen=True, kw_only=True):
    """All differences, in the order of the plan. `restarts` are running models whose process ends,
    sorted."""

    schema: int = 1
    changes: tuple[Change, ...]
    restarts: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to apply."""
        return bool(self.changes)

    def worst(self) -> Effect:
        """The dearest effect class."""
        order = list(Effect)
        return max((c.effect for c in self.changes), key=order.index, default=Effect.NONE)
