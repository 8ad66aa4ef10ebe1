"""A value that was chosen, where it can be changed, and why it is what it is."""

from dataclasses import dataclass
from typing import Generic, TypeVar, overload

from llmdecl.spec.address import address
from llmdecl.spec.schema import ModelSettings

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """`given`: the spec decided; else `reason` names what did."""

    value: T
    address: str
    reason: str
    given: bool = False

    def but(self, value: U, reason: str) -> "Choice[U]":
        """Another value at the same address: what became of the one that was given."""
        return Choice(value, self.address, reason, self.given)


@dataclass(frozen=True, slots=True)
class Chooser:
    """Picks settings of one model: its own, then `[defaults]`, then what is built in."""

    name: str
    model: ModelSettings
    defaults: ModelSettings | None

    def address(self, key: str) -> str:
        """`models.NAME.key`, where the setting can be changed."""
        return address("models", self.name, key)

    def given(self, key: str, kind: type[T]) -> Choice[T] | None:
        """What the spec says, if it does; `kind` is the setting's type, which the schema holds."""
        attribute = key.replace("-", "_")
        value = getattr(self.model, attribute)
        if value is not None:
            assert isinstance(value, kind)
            return Choice(value, self.address(key), "the spec says so", given=True)
        value = getattr(self.defaults, attribute, None)
        if value is None:
            return None
        assert isinstance(value, kind)
        return Choice(value, f"defaults.{key}", "the spec's defaults say so", given=True)

    @overload
    def pick(self, key: str, *, default: bool, why: str) -> Choice[bool]: ...
    @overload
    def pick(self, key: str, *, default: int, why: str) -> Choice[int]: ...
    @overload
    def pick(self, key: str, *, default: float, why: str) -> Choice[float]: ...
    @overload
    def pick(self, key: str, *, default: str, why: str) -> Choice[str]: ...

    def pick(
        self, key: str, *, default: bool | float | str, why: str
    ) -> Choice[bool] | Choice[int] | Choice[float] | Choice[str]:
        """What the spec says, else `default`, because of `why`."""
        kind: type[bool | float | str] = type(default)
        chosen: Choice[bool | float | str] = self.given(key, kind) or Choice(
            default, self.address(key), why
        )
        return chosen  # type: ignore[return-value]  # one type in, the same type out
