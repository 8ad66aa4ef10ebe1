"""An engine's flag table: what a command line may hold, and the nearest name when it may not.

Pure. Verified against llama-server b10434, whose own judgement of a command line is
`llama-server ARGS --list-devices`: it reads every argument before it lists devices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from llmdecl.facts.model import Flag

_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "on": ("enabled", "true", "1"),
    "off": ("disabled", "false", "0"),
    "auto": ("-1",),
}
"""What llama.cpp takes for these words besides the words themselves (`common/arg.cpp`)."""


class Fault(StrEnum):
    """What is wrong with one use of a flag."""

    UNKNOWN = "unknown"
    REMOVED = "removed"
    STRAY = "stray"
    """A word that no flag takes; the engine has no positional arguments."""
    VALUE_MISSING = "value-missing"
    VALUE_NOT_ALLOWED = "value-not-allowed"


@dataclass(frozen=True, slots=True)
class Use:
    """One flag as it stands on a command line, with the values it takes."""

    spelling: str
    values: tuple[str, ...]
    flag: Flag

    @property
    def negative(self) -> bool:
        """Whether this spelling switches the entry off."""
        return _normal(self.spelling) in self.flag.negatives


@dataclass(frozen=True, slots=True)
class Misuse:
    """A word that the engine would refuse.

    `reason` stands alone in one line; `near` are spellings of the table, nearest first.
    """

    fault: Fault
    spelling: str
    reason: str
    near: tuple[str, ...] = ()


def _normal(spelling: str) -> str:
    """The spelling that llama.cpp looks up: underscores of a long flag are dashes."""
    return spelling.replace("_", "-") if spelling.startswith("--") else spelling


class FlagTable:
    """Flags by every spelling. Later entries win where a text lists a spelling twice."""

    def __init__(self, flags: Iterable[Flag]) -> None:
        self.flags = tuple(flags)
        self._by_spelling = {
            spelling: flag for flag in self.flags for spelling in (*flag.names, *flag.negatives)
        }

    def __contains__(self, spelling: str) -> bool:
        return _normal(spelling) in self._by_spelling

    def find(self, spelling: str) -> Flag | None:
        """The entry of `--ctx-size`, `-c` or `--ctx_size`; removed entries are found as well."""
        return self._by_spelling.get(_normal(spelling))

    def usable(self, spelling: str) -> bool:
        """Whether the engine takes it: known and not removed."""
        flag = self.find(spelling)
        return flag is not None and flag.removed is None

    def nearest(self, spelling: str, count: int = 3) -> tuple[str, ...]:
        """Usable spellings that look like it, nearest first; none when nothing is close."""
        usable = [name for name, flag in self._by_spelling.items() if flag.removed is None]
        return tuple(get_close_matches(_normal(spelling), usable, n=count, cutoff=0.7))

    def check(self, spelling: str, values: Sequence[str] = ()) -> Misuse | None:
        """What the engine would refuse in one flag with these values."""
        flag = self.find(spelling)
        if flag is None:
            return self._unknown(spelling)
        if flag.removed is not None:
            return self._removed(spelling, flag.removed)
        if len(values) > flag.arity:
            extra = values[flag.arity]
            return Misuse(
                Fault.STRAY, extra, f"`{extra}` stands after `{spelling}`, {_takes(flag)}"
            )
        if len(values) < flag.arity:
            return Misuse(
                Fault.VALUE_MISSING, spelling, f"`{spelling}` has {len(values)}, {_takes(flag)}"
            )
        return _bad_choice(spelling, flag, values)

    def read(self, words: Sequence[str]) -> tuple[tuple[Use, ...], tuple[Misuse, ...]]:
        """A command line without its program: what it uses, and everything that is wrong in it."""
        uses: list[Use] = []
        misuses: list[Misuse] = []
        index = 0
        while index < len(words):
            word = words[index]
            flag = self.find(word)
            count = flag.arity if flag is not None else 0
            values = tuple(words[index + 1 : index + 1 + count])
            misuse = self.check(word, values) if word.startswith("-") else _stray(word)
            if misuse is not None:
                misuses.append(misuse)
                if misuse.fault is Fault.UNKNOWN:
                    count = self._values_of_unknown(words, index)
            elif flag is not None:
                uses.append(Use(word, values, flag))
            index += 1 + count
        return tuple(uses), tuple(misuses)

    def _values_of_unknown(self, words: Sequence[str], index: int) -> int:
        """How many words after an unknown flag belong to it: one cause, one error."""
        count = 0
        while index + 1 + count < len(words) and not words[index + 1 + count].startswith("-"):
            count += 1
        return count

    def _unknown(self, spelling: str) -> Misuse:
        name, equals, value = spelling.partition("=")
        if equals and name in self:
            reason = f"`{spelling}` is one word; the engine takes `{name}` and `{value}` as two"
            return Misuse(Fault.UNKNOWN, spelling, reason, (name,))
        return Misuse(
            Fault.UNKNOWN,
            spelling,
            f"`{spelling}` is not a flag of this engine",
            self.nearest(name),
        )

    def _removed(self, spelling: str, words: str) -> Misuse:
        """With the replacements that the engine's own words name, else the nearest spellings."""
        named = tuple(
            word for word in (part.rstrip(".,;") for part in words.split()) if self.usable(word)
        )
        return Misuse(
            Fault.REMOVED,
            spelling,
            f"`{spelling}` is gone from this engine: {words}",
            named or self.nearest(spelling),
        )


def _stray(word: str) -> Misuse:
    return Misuse(Fault.STRAY, word, f"`{word}` belongs to no flag")


def _takes(flag: Flag) -> str:
    return "which takes " + {0: "no value", 1: "one value"}.get(flag.arity, f"{flag.arity} values")


def _bad_choice(spelling: str, flag: Flag, values: Sequence[str]) -> Misuse | None:
    if not flag.choices or all(value.lstrip("-").isdigit() for value in flag.choices):
        return None  # `<0|1>` is a number to the engine, which takes others as well
    allowed = {*flag.choices, *(word for c in flag.choices for word in _SYNONYMS.get(c, ()))}
    for value in values:
        if value not in allowed:
            reason = f"`{spelling}` is `{value}`; it may be {', '.join(flag.choices)}"
            near = tuple(get_close_matches(value, flag.choices, n=1))
            return Misuse(Fault.VALUE_NOT_ALLOWED, spelling, reason, near)
    return None
