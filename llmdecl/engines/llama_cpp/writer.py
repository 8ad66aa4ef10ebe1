"""Choices to flags, each spelled as the engine at hand spells it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmdecl.engines.choice import Choice
from llmdecl.engines.flags import FlagTable
from llmdecl.plan.model import Setting, Word


@dataclass(frozen=True, slots=True)
class Lacking:
    """A setting for which this engine has no flag, or, with `words`, not this value of it."""

    spelling: str
    address: str
    near: tuple[str, ...]
    words: str | None = None


def number(value: float) -> str:
    """A number as llama-server reads it: whole ones without a point, never with an exponent."""
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    text = f"{value:.10f}".rstrip("0")
    return text if float(text) else repr(value)


@dataclass(slots=True)
class Writer:
    """Collects settings in the order they are written.

    A flag that the engine lacks is left out where its absence means the same: `without` is what an
    engine of no such flag does. Otherwise it is reported as lacking when the spec asked for it,
    when it is `needed`, or when it is something else than `without`.
    """

    table: FlagTable
    settings: list[Setting] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)

    def value(
        self,
        choice: Choice[str] | Choice[int] | Choice[float],
        *names: str,
        needed: bool = False,
        without: str | float | None = None,
    ) -> None:
        """`--name VALUE`; `names` are spellings through the years, the newest first."""
        chosen = choice.value
        text = chosen if isinstance(chosen, str) else number(chosen)
        needed = needed or (choice.given if without is None else chosen != without)
        self.words(choice.address, choice.reason, (Word(text=text),), *names, needed=needed)

    def path(self, choice: Choice[Word], *names: str) -> None:
        """`--name PATH`."""
        self.words(choice.address, choice.reason, (choice.value,), *names, needed=True)

    def switch(
        self,
        choice: Choice[bool],
        on: Sequence[str],
        off: Sequence[str],
        *,
        without: bool | None = None,
    ) -> None:
        """`--name` or `--no-name`. An engine with one form only says the other by silence."""
        names, others = (on, off) if choice.value else (off, on)
        if (spelling := self._spelling(names)) is not None:
            self._add(spelling, (), choice.address, choice.reason)
        elif self._spelling(others):
            return
        elif choice.given if without is None else choice.value is not without:
            self._report(choice.address, names or others)

    def both(self, choice: Choice[bool], name: str, *, without: bool | None = None) -> None:
        """`--name` or `--no-name` for a switch that has kept its name."""
        self.switch(choice, (f"--{name}",), (f"--no-{name}",), without=without)

    def on_off(self, choice: Choice[bool], name: str) -> None:
        """`--name on|off`; before it took a value the name alone was `on`, and silence `off`."""
        flag = self.table.find(name)
        if flag is not None and flag.arity == 0:
            self.switch(choice, (name,), ())
        else:
            word = "on" if choice.value else "off"
            self.value(choice.but(word, choice.reason), name, needed=True)

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

    def takes(self, name: str, word: str) -> bool:
        """Whether the engine has a flag that may be this word, as far as its help says."""
        flag = self.table.find(name)
        return self.has(name) and flag is not None and (not flag.choices or word in flag.choices)

    def has_environment(self, name: str, variable: str) -> bool:
        """Whether the flag is also set by this variable: names of it tell versions apart."""
        flag = self.table.find(name)
        return flag is not None and flag.environment == variable

    def refuse(self, address: str, spelling: str, words: str) -> None:
        """A value that this engine's flag does not take, which its table can't say."""
        self.lacking.append(Lacking(spelling, address, (), words))

    def _spelling(self, names: Sequence[str]) -> str | None:
        return next((name for name in names if self.table.usable(name)), None)

    def _add(self, flag: str, values: tuple[Word, ...], address: str, reason: str) -> None:
        self.settings.append(Setting(flag=flag, values=values, address=address, reason=reason))

    def _report(self, address: str, names: Sequence[str]) -> None:
        self.lacking.append(Lacking(names[0], address, self.table.nearest(names[0])))
