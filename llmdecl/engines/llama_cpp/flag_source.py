"""The flag table of a tree that is not built: read from its `common/arg.cpp`. Pure.

`common_params_parser_init` adds options one by one, each a `common_arg` whose shape says what it
takes: `(names, [negatives | hint [, hint]], help, handler)`, then `.set_examples(...)`,
`.set_env(...)` and the like. What is written in another way is refused, never guessed. Held against
the real `--help` of the releases in `releases/` by tests.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmdecl.engines.llama_cpp.cpp_tokens import Code, Token, arguments, pairs, tokens
from llmdecl.engines.llama_cpp.help import choices_of, removed_words
from llmdecl.facts.model import Flag

SOURCE = "common/arg.cpp"
"""The file, below the tree."""

_FUNCTION = re.compile(r"^common_params_context common_params_parser_init\(", re.MULTILINE)
_SERVER, _COMMON = "LLAMA_EXAMPLE_SERVER", "LLAMA_EXAMPLE_COMMON"
_SECTIONS = ("common", "sampling", "spec", "server")
_MARKS: Mapping[str, str] = {
    "set_sampling": "sampling",
    "set_sparam": "sampling",
    "set_spec": "spec",
    "set_preset_only": "preset",
}
_CONVERSION = re.compile(r"%%|%[-+ #0]*[0-9*]*(?:\.[0-9*]+)?(?:hh|h|ll|l|z)?[a-zA-Z]")
_TELLING = re.compile(r"argument has been removed|allowed values")
_OPENING = ("(", "[", "{")
_WORDS = 16
"""Of a condition: known ones have fewer."""
_UNKNOWN = "\ufffd"
"""Stands in a help text for what only a run computes."""


class UnreadableFlagsError(ValueError):
    """`line` of the text is written in a way that is not read."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


@dataclass(frozen=True, slots=True)
class _Options:
    """Names of the file that options refer to: lists of examples, the types of caches."""

    text: str
    has_rpc: bool

    def examples(self, name: Token) -> list[str]:
        match = re.search(rf"\b{re.escape(name.text)}\s*=\s*\{{([^}}]*)\}}", self.text)
        if match is None:
            raise UnreadableFlagsError(name.line, f"`{name.text}` is no list of examples")
        return re.findall(r"LLAMA_EXAMPLE_\w+", match[1])

    def cache_types(self) -> str | None:
        """`f32, f16, ...`: ggml's name of a type is its constant's in lower case."""
        match = re.search(r"\bkv_cache_types\s*=\s*\{([^}]*)\}", self.text)
        types = re.findall(r"GGML_TYPE_(\w+)", match[1]) if match else []
        return ", ".join(name.lower() for name in types) or None


@dataclass(slots=True)
class _Entry:
    line: int
    names: tuple[str, ...]
    negatives: tuple[str, ...]
    hints: tuple[str, ...]
    help: str
    examples: Sequence[str] = (_COMMON,)
    excludes: Sequence[str] = ()
    environment: str | None = None
    section: str = "common"

    @property
    def of_server(self) -> bool:
        asked = _SERVER in self.examples or _COMMON in self.examples
        return asked and _SERVER not in self.excludes and self.section != "preset"


def read_flags(text: str, *, has_rpc: bool) -> tuple[Flag, ...]:
    """llama-server's flags in the order of its help; raises UnreadableFlagsError.

    `has_rpc`: it is built with the RPC backend, without which older versions have no `--rpc`.
    """
    match = _FUNCTION.search(text)
    if match is None:
        raise UnreadableFlagsError(1, "there is no `common_params_parser_init`")
    code = Code(tokens(text[match.start() :], text.count("\n", 0, match.start()) + 1), "add_opt")
    found, options = code.found, _Options(text, has_rpc)
    try:
        opened = next(i for i, token in enumerate(found) if token.text == "(")
        start = code.closing(opened) + 1
        end = code.closing(start)
        _refuse_other_ways(found, start, end)
        entries = list(_entries(code, start + 1, end, options))
    except UnreadableFlagsError:
        raise
    except (ValueError, IndexError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "it ends, or nests, as no code does"
        raise UnreadableFlagsError(found[0].line, reason) from None
    served = [entry for entry in entries if entry.of_server]
    for entry in served:
        if entry.section == "common" and _SERVER in entry.examples:
            entry.section = "server"
    return tuple(
        _flag(entry) for section in _SECTIONS for entry in served if entry.section == section
    )


def _refuse_other_ways(found: Sequence[Token], start: int, end: int) -> None:
    """Options that no `add_opt(common_arg(` adds would be missed."""
    for index in range(start, end - 1):
        made = found[index].text == "common_arg" and found[index + 1].text in ("(", "{")
        if made and [token.text for token in found[index - 2 : index]] != ["add_opt", "("]:
            raise UnreadableFlagsError(found[index].line, "an option that nobody adds")


def _entries(code: Code, start: int, end: int, options: _Options) -> Iterator[_Entry]:
    """Options that the statements from `start` to before `end` add for a server."""
    found, index = code.found, start
    while index < end:
        token = found[index]
        if token.is_directive and code.calls(start, end):
            raise UnreadableFlagsError(token.line, f"`{token.text[:60]}` among the options")
        if token.text == "add_opt" and found[index + 1].text == "(":
            entry, index = _entry(code, index + 1, options)
            yield entry
        elif token.text == "if" and not token.is_string:
            blocks, index = _branches(code, index, options)
            for first, last in blocks:
                yield from _entries(code, first, last, options)
        elif not token.is_string and token.text in _OPENING:
            after = code.closing(index)
            if code.calls(index, after):
                raise UnreadableFlagsError(token.line, "options are added in a block of its own")
            index = after + 1
        else:
            index += 1


def _branches(code: Code, index: int, options: _Options) -> tuple[list[tuple[int, int]], int]:
    """The blocks of an `if` that are run for a server, and where it ends."""
    found = code.found
    taken: list[tuple[int, int]] = []
    decided: bool | None = False
    while True:
        condition = "else"
        holds: bool | None = True
        if found[index].text == "if":
            after = code.closing(index + 1)
            condition = " ".join(token.text for token in found[index + 2 : after][:_WORDS])
            holds = _holds(condition, options)
            index = after + 1
        if found[index].text != "{":
            raise UnreadableFlagsError(found[index].line, "an `if` without braces")
        last = code.closing(index)
        if holds is None and code.calls(index, last):
            reason = f"options depend on `{condition[:60]}`"
            raise UnreadableFlagsError(found[index].line, reason)
        if decided is None and code.calls(index, last):
            raise UnreadableFlagsError(found[index].line, "options depend on a condition before")
        if decided is False and holds:
            taken.append((index + 1, last))
        decided = decided or holds
        index = last + 1
        if found[index].text != "else":
            return taken, index
        index += 1


def _holds(condition: str, options: _Options) -> bool | None:
    """Whether a condition holds for a server; `None` when it is not one that is known."""
    if match := re.fullmatch(r"ex == (LLAMA_EXAMPLE_\w+)", condition):
        return match[1] == _SERVER
    if condition in ("llama_supports_rpc ( )", "params . is_gen_docs || llama_supports_rpc ( )"):
        return options.has_rpc
    return None


def _entry(code: Code, index: int, options: _Options) -> tuple[_Entry, int]:
    """The option of `add_opt(`, whose bracket is at `index`, and where the call ends."""
    found, end = code.found, code.closing(index)
    if found[index + 1].text != "common_arg" or found[index + 2].text != "(":
        raise UnreadableFlagsError(found[index].line, "`add_opt` of something else")
    after = code.closing(index + 2)
    entry = _made(found[index].line, list(arguments(found[index + 3 : after])), options)
    index = after + 1
    while index < end:
        if found[index].text != "." or found[index + 2].text != "(":
            raise UnreadableFlagsError(found[index].line, f"`{found[index].text}` after an option")
        last = code.closing(index + 2)
        _call(entry, found[index + 1], found[index + 3 : last], options)
        index = last + 1
    return entry, end + 1


def _made(line: int, given: list[Sequence[Token]], options: _Options) -> _Entry:
    names = _list(given[0]) if given else None
    if names is None or not 3 <= len(given) <= 5:
        raise UnreadableFlagsError(line, f"an option of {len(given)} parts")
    negatives = _list(given[1]) if len(given) == 4 else None
    if negatives is not None:
        return _Entry(line, names, negatives, (), _help(given[2], options))
    hints = [_hint(part) for part in given[1:-2]]
    if None in hints:
        raise UnreadableFlagsError(line, f"the value of `{names[0]}` is not written out")
    return _Entry(line, names, (), tuple(map(str, hints)), _help(given[-2], options))


def _hint(part: Sequence[Token]) -> str | None:
    """What stands for a value; of a list that is put together elsewhere only that it is one."""
    if "".join(token.text for token in part) == "common_speculative_all_types_str()":
        return _UNKNOWN
    return _string(part)


def _call(entry: _Entry, name: Token, given: Sequence[Token], options: _Options) -> None:
    match name.text:
        case "set_examples" | "set_excludes":
            words = [token.text for token in given if token.text.startswith("LLAMA_EXAMPLE_")]
            if len(given) == 1:
                words = options.examples(given[0])
            if not words:
                raise UnreadableFlagsError(name.line, f"`{name.text}` of something else")
            setattr(entry, name.text.removeprefix("set_"), words)
        case "set_env":
            entry.environment = _string(given)
        case mark if mark in _MARKS:
            entry.section = _MARKS[mark]
        case other:
            raise UnreadableFlagsError(name.line, f"`{other}` of an option")
    if name.text == "set_env" and entry.environment is None and entry.section != "preset":
        raise UnreadableFlagsError(name.line, "an environment variable that is not written out")


def _list(part: Sequence[Token]) -> tuple[str, ...] | None:
    """`{"-c", "--ctx-size"}`; `None` for anything else."""
    if not part or part[0].is_string or part[0].text != "{" or part[-1].text != "}":
        return None
    words = [token for token in part[1:-1] if token.is_string or token.text != ","]
    if not words or not all(token.is_string for token in words):
        return None
    return tuple(token.text for token in words)


def _string(part: Sequence[Token]) -> str | None:
    """A literal, or several one after the other; `None` for anything else."""
    if part and all(token.is_string for token in part):
        return "".join(token.text for token in part)
    return None


def _help(part: Sequence[Token], options: _Options) -> str:
    """A help text with what is computed left open; the types of caches are known."""
    text = None
    if part[0].text == "string_format" and not part[0].is_string and part[1].text == "(":
        end = pairs(part).get(1, 0)
        form, *values = arguments(part[2:end])
        text, left = _string(form), iter(values)
        if text is not None and end == len(part) - 1:
            text = _CONVERSION.sub(
                lambda match: "%" if match[0] == "%%" else _value(next(left, ()), options), text
            )
    whole = _string(part)
    text = whole if whole is not None else text
    literals = [token.text for token in part if token.is_string]
    if text is None and literals and not any(map(_TELLING.search, literals)):
        text = _UNKNOWN.join(literals)  # a choice between texts that say nothing of the table
    if text is None or f"allowed values: {_UNKNOWN}" in text:
        raise UnreadableFlagsError(part[0].line, "a help text that is not written out")
    return text


def _value(part: Sequence[Token], options: _Options) -> str:
    if part and part[0].text == "get_all_kv_cache_types":
        return options.cache_types() or _UNKNOWN
    return _string(part) or _UNKNOWN


def _flag(entry: _Entry) -> Flag:
    description = " ".join(" ".join(entry.help.split("\n")).split())
    hint = " ".join(entry.hints)
    return Flag(
        names=entry.names,
        negatives=entry.negatives,
        arity=len(entry.hints),
        choices=choices_of(hint, description),
        environment=entry.environment,
        removed=removed_words(description),
    )
