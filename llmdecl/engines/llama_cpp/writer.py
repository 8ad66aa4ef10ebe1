"""Choices to flags, each spelled as the engine at hand spells it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmdecl.engines.choice import Choice
from llmdecl.engines.flags import FlagTable
from llmdecl.plan.model import Setting, Word


@dataclass(frozen=True, slots=True)
class Lacking:
    """A setting for which this engine has no flag."""

    spelling: str
    address: str
    near: tuple[str, ...]


def number(value: float) -> str:
    """A number as llama-server reads it: whole ones without a point, never with an exponent."""
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    text = f"{value:.10f}".rstrip("0")
    return text if float(text) else repr(value)


@dataclass(slots=True)
class Writer:
    """Collects settings in the order they are written.

    A flag that the engine lacks is left out when it only confirms what an engine without it does
    anyway; it is reported as lacking when the spec asked for it, or when it is `needed`.
    """

    table: FlagTable
    settings: list[Setting] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)

    def value(
        self, choice: Choice[str] | Choice[int] | Choice[float], *names: str, needed: bool = False
    ) -> None:
        """`--name VALUE`; `names` are spellings through the years, the newest first."""
        chosen = choice.value
        text = chosen if isinstance(chosen, str) else number(chosen)
        self.words(choice.address, choice.reason, (Word(text=text),), *names, needed=needed)
        if choice.given and not needed:
            self._report(choice.address, names)

    def path(self, choice: Choice[Word], *names: str) -> None:
        """`--name PATH`."""
        self.words(choice.address, choice.reason, (choice.value,), *names, needed=True)

    def switch(self, choice: Choice[bool], on: Sequence[str], off: Sequence[str]) -> None:
        """`--name` or `--no-name`. An engine with one form only says the other by silence."""
        names = on if choice.value else off
        spelling = self._spelling(names)
        if spelling is not None:
            self._add(spelling, (), choice.address, choice.reason)
        elif choice.given and not self._spelling(off if choice.value else on):
            self._report(choice.address, names)

    def both(self, choice: Choice[bool], name: str) -> None:
        """`--name` or `--no-name` for a switch that has kept its name."""
        self.switch(choice, (f"--{name}",), (f"--no-{name}",))

    def words(
        self, address: str, reason: str, values: tuple[Word, ...], *names: str, needed: bool = False
    ) -> None:
        """The first spelling that the engine takes, with `values`."""
        spelling = self._spelling(names)
        if spelling is not None:
            self._add(spelling, values, address, reason)
        elif needed:
            self._report(address, names)

    def has(self, *names: str) -> bool:
        """Whether the engine takes one of them."""
        return self._spelling(names) is not None

    def _spelling(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if self.table.usable(name)), None)

    def _add(self, flag: str, values: tuple[Word, ...], address: str, reason: str) -> None:
        self.settings.append(Setting(flag=flag, values=values, address=address, reason=reason))

    def _report(self, address: str, names: Sequence[str]) -> None:
        if self._spelling(names) is None:
            self.lacking.append(Lacking(names[0], address, self.table.nearest(names[0])))
