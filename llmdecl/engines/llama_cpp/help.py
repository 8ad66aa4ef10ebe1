"""`llama-server --help` as a flag table.

The text comes from `common_arg::to_string` in llama.cpp's `common/arg.cpp`: spellings and value
hints first, then the description from column 40; when the first part is longer than 37 columns
the description starts on the next line.
"""

import re
from collections.abc import Iterator

from llmdecl.facts.model import Flag

_DESCRIPTION_COLUMN = 40
_SPELLING = re.compile(r"--?[A-Za-z0-9][A-Za-z0-9._-]*")
_ANOTHER = re.compile(r",\s+(?=-)")
_ENVIRONMENT = re.compile(r"\(env: ([A-Z][A-Z0-9_]*)\)")
_ALLOWED = re.compile(r"allowed values: ([\w.+-]+(?:, [\w.+-]+)*)")
_REMOVED = "the argument has been removed"
_CHOICES = (
    re.compile(r"\{([\w.+-]+(?:,[\w.+-]+)+)\}"),
    re.compile(r"\[([\w.+-]+(?:\|[\w.+-]+)+)\]"),
    re.compile(r"<([\w.+-]+(?:\|[\w.+-]+)+)>"),
)


def parse_help(text: str) -> tuple[Flag, ...]:
    """Every entry of the help, in its order, removed ones included; anything else is skipped."""
    return tuple(_flag(head, description) for head, description in _entries(text))


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Spellings with hints, and the description unwrapped to one line."""
    head: str | None = None
    description: list[str] = []
    for line in text.splitlines():
        if _SPELLING.match(line):
            if head is not None:
                yield head, " ".join(description)
            head, first = _split(line)
            description = [first] if first else []
        elif head is not None and line.startswith(" " * _DESCRIPTION_COLUMN):
            description.append(line.strip())
    if head is not None:
        yield head, " ".join(part for part in description if part)


def _split(line: str) -> tuple[str, str]:
    """A first line at the description's column, where three spaces stand before it."""
    gap = line[_DESCRIPTION_COLUMN - 3 : _DESCRIPTION_COLUMN]
    if gap != "   ":
        return line.rstrip(), ""
    return line[:_DESCRIPTION_COLUMN].rstrip(), line[_DESCRIPTION_COLUMN:].strip()


def _flag(head: str, description: str) -> Flag:
    spellings, hint = _spellings(head)
    arity = _arity(hint)
    names, negatives = _polarity(spellings) if arity == 0 else (spellings, ())
    environment = _ENVIRONMENT.search(description)
    return Flag(
        names=names,
        negatives=negatives,
        arity=arity,
        choices=choices_of(hint, description),
        environment=environment[1] if environment else None,
        removed=removed_words(description),
    )


def _spellings(head: str) -> tuple[tuple[str, ...], str]:
    """`-c,    --ctx-size N` as its spellings and `N`."""
    found: list[str] = []
    position = 0
    while match := _SPELLING.match(head, position):
        found.append(match[0])
        position = match.end()
        comma = _ANOTHER.match(head, position)
        if comma is None:
            break
        position = comma.end()
    return tuple(found), head[position:].strip()


def _arity(hint: str) -> int:
    """Values taken: words of the hint, where `<buffer type>` is one word."""
    return len(re.sub(r"<[^>]*>", "<>", hint).split())


def _polarity(spellings: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Spellings that switch on and off. The engine lists those that switch off last.

    A lone negative (`--no-host`; `-nkvo, --no-kv-offload` in older versions) sets its own entry and
    has no opposite.
    """
    if not any(word.startswith("--no-") for word in spellings[1:]):
        return spellings, ()
    off = [word.startswith("--no-") or bool(re.match(r"-n[a-z]", word)) for word in spellings]
    first = off.index(True)
    return (spellings[:first], spellings[first:]) if first else (spellings, ())


def choices_of(hint: str, description: str) -> tuple[str, ...]:
    """Values that the entry allows, where it lists them all; a list of examples is not one."""
    for pattern in _CHOICES:
        if match := pattern.fullmatch(hint):
            return tuple(re.split(r"[,|]", match[1]))
    allowed = _ALLOWED.search(description) if hint else None
    return tuple(allowed[1].split(", ")) if allowed else ()


def removed_words(description: str) -> str | None:
    """The engine's own words on an entry that is only there to say that it is gone."""
    return _ENVIRONMENT.sub("", description).strip() if _REMOVED in description else None
