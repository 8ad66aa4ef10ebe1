"""What is wrong with one value, in the words of the spec. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from llmdecl.diagnostics import Rule
from llmdecl.spec.kinds import (
    Choice,
    Either,
    Items,
    Kind,
    Measure,
    Named,
    Number,
    Record,
    Switch,
    Variants,
    Words,
)
from llmdecl.spec.later import LATER_CHOICES
from llmdecl.spec.rules import (
    BAD_DURATION,
    BAD_SIZE,
    EMPTY_VALUE,
    LATER_CHOICE,
    MALFORMED,
    NOT_A_CHOICE,
    OUT_OF_RANGE,
    WRONG_TYPE,
    WRONG_VERSION,
)
from llmdecl.spec.words import article, listed, shown, wanted
from llmdecl.units import format_bytes, format_duration, parse_bytes, parse_duration_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule that is broken, how, and what may be said beside it."""

    rule: Rule
    summary: str
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()


def judge(key: str, kind: Kind, value: object) -> Verdict | None:
    """What is wrong with `value` under `key`, itself; not with what it contains."""
    alternatives = kind.kinds if isinstance(kind, Either) else (kind,)
    fitting = [each for each in alternatives if _is_of(each, value)]
    if not fitting:
        return Verdict(WRONG_TYPE, f"`{key}` is {article(value)}, not {wanted(alternatives)}")
    verdicts = [_within(key, each, value) for each in fitting]
    if None in verdicts:
        return None
    return _quoted_number(key, alternatives, value) or verdicts[0]


def _quoted_number(key: str, kinds: tuple[Kind, ...], value: object) -> Verdict | None:
    """`"4096"` where a number or a word belongs is a number in quotes, not a wrong word."""
    number = next((each for each in kinds if isinstance(each, Number)), None)
    if number is None or not isinstance(value, str) or not re.fullmatch("[0-9]{1,18}", value):
        return None
    fits = _within(key, number, int(value)) is None
    return Verdict(
        WRONG_TYPE,
        f"`{key}` is a string, not {wanted(kinds)}",
        help=(f"`{key} = {int(value)}`",) if fits else (),
    )


def _is_of(kind: Kind, value: object) -> bool:
    match kind:
        case Switch():
            return isinstance(value, bool)
        case Number(whole=whole):
            return type(value) is int or (not whole and type(value) is float)
        case Measure(form=form):
            zero = type(value) is int and value == 0 and form != "size"
            return isinstance(value, str) or zero
        case Words():
            return isinstance(value, str)
        case Choice(values=values):
            return type(value) in {type(each) for each in values}
        case Items():
            return isinstance(value, list | tuple)
        case Record() | Variants() | Named():
            return isinstance(value, dict)
        case Either(kinds=kinds):
            return any(_is_of(each, value) for each in kinds)


def _within(key: str, kind: Kind, value: object) -> Verdict | None:
    match kind, value:
        case Number(), (int() | float()):
            return _ranged(key, value, kind)
        case Measure(), (str() | int()):
            return _measured(key, value, kind)
        case Words(least=1), "":
            return Verdict(EMPTY_VALUE, f"`{key}` is empty")
        case Words(pattern=str(pattern)), str() if not re.search(_whole(pattern), value):
            form = "not of the form that is asked for"
            return Verdict(MALFORMED, f"`{key}` is `{shown(value)}`, {form}")
        case Choice(), (str() | int()):
            return _chosen(key, value, kind)
        case Items(least=1), (list() | tuple()) if not value:
            return Verdict(EMPTY_VALUE, f"`{key}` is an empty list")
        case _:
            return None


def _whole(pattern: str) -> str:
    """In Python `$` also stands before a last line feed, in pydantic's expressions it doesn't."""
    return pattern.removesuffix("$") + r"\Z"


def _ranged(key: str, value: float, kind: Number) -> Verdict | None:
    low, above, high = kind.low, kind.above, kind.high
    if _is_infinite(value):
        return Verdict(OUT_OF_RANGE, f"`{key}` is {value}, not a finite number")
    if not kind.whole and _is_huge(value):
        return Verdict(OUT_OF_RANGE, f"`{key}` is more than any number that it can hold")
    if low is not None and high is not None and not low <= value <= high:
        span = f"{low:g} to {high:g}" if not kind.whole else f"{low} to {high}"
        return Verdict(OUT_OF_RANGE, f"`{key}` is {shown(value)}, outside of {span}")
    if above is not None and value <= above:
        return Verdict(OUT_OF_RANGE, f"`{key}` is {shown(value)}, and has to be above {above:g}")
    return None


def _is_infinite(value: object) -> bool:
    """Not a number, or no end of it."""
    return isinstance(value, float) and not isfinite(value)


def _is_huge(value: object) -> bool:
    """More than a float can hold."""
    return isinstance(value, int) and value.bit_length() > 1000


def _measured(key: str, value: str | int, kind: Measure) -> Verdict | None:
    size = kind.form.startswith("size")
    if value == "never" and kind.form == "ttl":
        return None
    amount: float = 0
    if isinstance(value, str):
        try:
            amount = parse_bytes(value) if size else parse_duration_s(value)
        except ValueError:
            return _unmeasured(key, value, kind)
    if kind.low is not None and amount < kind.low:
        least = format_bytes(int(kind.low)) if size else format_duration(kind.low)
        return Verdict(OUT_OF_RANGE, f"`{key}` is `{shown(value)}`, less than {least}")
    if kind.high is not None and amount > kind.high:
        most = format_bytes(int(kind.high)) if size else format_duration(kind.high)
        return Verdict(OUT_OF_RANGE, f"`{key}` is `{shown(value)}`, more than {most}")
    return None


def _unmeasured(key: str, value: str, kind: Measure) -> Verdict:
    size = kind.form.startswith("size")
    rule, word = (BAD_SIZE, "size") if size else (BAD_DURATION, "duration")
    parse = parse_bytes if size else parse_duration_s
    try:
        parse(shown(value))
        note = ""
    except ValueError as error:
        note = str(error)
    near = [text for text in _respelt(value, size=size) if _parses(text, size=size)]
    if kind.form == "ttl":
        near += get_close_matches(value, ("never",), 1)
    return Verdict(
        rule,
        f"`{key}` is `{shown(value)}`, which is no {word}",
        (note,) if note else (),
        (f"did you mean `{near[0]}`?",) if near else (),
    )


def _respelt(value: str, *, size: bool) -> Iterator[str]:
    """`24gb`, `24G`, `24 Gib` as they may have been meant; the caller tries them."""
    match = re.fullmatch(r"\s*([0-9.]{1,12})\s*([A-Za-z]{1,7})\s*", value)
    if match is None:
        return
    number, unit = match[1], match[2].lower()
    if size:
        yield f"{number}{unit[0].upper()}iB"
    elif unit.startswith(("mil", "ms")):
        yield f"{number}ms"
    else:
        yield f"{number}{unit[0]}"


def _parses(text: str, *, size: bool) -> bool:
    try:
        (parse_bytes if size else parse_duration_s)(text)
    except ValueError:
        return False
    return True


def _chosen(key: str, value: str | int, kind: Choice) -> Verdict | None:
    if value in kind.values:
        return None
    if isinstance(value, int):
        return Verdict(
            WRONG_VERSION,
            f"`{key}` is {shown(value)}, and this llmdecl reads version {kind.values[0]}",
        )
    words = [str(each) for each in kind.values]
    note = f"choices are {listed(words)}"
    if value in LATER_CHOICES.get(words[0], ()):
        return Verdict(LATER_CHOICE, f"`{key} = {value}` is not supported yet", (note,))
    near = get_close_matches(value.lower(), words, 1)
    return Verdict(
        NOT_A_CHOICE,
        f"`{key}` is `{shown(value)}`, which is none of its choices",
        (note,),
        (f"did you mean `{near[0]}`?",) if near else (),
    )
