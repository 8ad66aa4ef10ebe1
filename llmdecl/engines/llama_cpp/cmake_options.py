"""Which CMake options a tree of llama.cpp has, read from its CMake files. Pure."""

import re
from collections.abc import Iterable, Mapping

from llmdecl.values import Value

_STRING_OR_COMMENT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|#\[(=*)\[.*?\]\1\]|#[^\n]*", re.DOTALL)
_OPTION = re.compile(
    r"\boption\s*\(\s*(?P<name>\w+)\s+(?P<help>\"(?:[^\"\\]|\\.)*\"|[^\s\"()]+)"
    r"(?:\s+(?P<default>\"(?:[^\"\\]|\\.)*\"|[^\s\"()]+))?\s*\)",
    re.DOTALL,
)
_CACHE = re.compile(
    r"\bset\s*\(\s*(?P<name>\w+)\s+(?P<default>\"(?:[^\"\\]|\\.)*\"|[^\s\"()]+)\s+"
    r"CACHE\s+(?P<kind>BOOL|STRING|PATH|FILEPATH)\b",
    re.DOTALL,
)
_OWN = re.compile(r"\b(?:GGML|LLAMA)_[A-Z0-9_]+\b")


class CMakeOption(Value, frozen=True, kw_only=True):
    """`default` is None where CMake works it out: from the platform, or another option."""

    kind: str
    """`BOOL`, `STRING`, `PATH` or `FILEPATH`."""
    default: str | None


class TreeOptions(Value, frozen=True, kw_only=True):
    """`declared` are the options by name; `mentioned` all other names of ggml's and llama.cpp's own
    that the files use, among them variables that are only read when somebody sets them."""

    declared: Mapping[str, CMakeOption]
    mentioned: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether setting it can do anything."""
        return name in self.declared or name in self.mentioned


def tree_options(texts: Iterable[str]) -> TreeOptions:
    """Of all the tree's `CMakeLists.txt` and `*.cmake`, in any order.

    An option that several files declare has a default where all agree on it, and is a switch where
    one says so.
    """
    declared: dict[str, set[tuple[str, str | None]]] = {}
    mentioned: set[str] = set()
    for text in texts:
        bare = _STRING_OR_COMMENT.sub(lambda m: m[0] if m[0][0] == '"' else "", text)
        mentioned.update(_OWN.findall(bare))
        found = [(match, "BOOL", "OFF") for match in _OPTION.finditer(bare)]
        found += [(match, match["kind"], "") for match in _CACHE.finditer(bare)]
        for match, kind, absent in found:
            said = (kind, _literal(match["default"], absent))
            declared.setdefault(match["name"], set()).add(said)
    return TreeOptions(
        declared={name: _one(declared[name]) for name in sorted(declared)},
        mentioned=tuple(sorted(mentioned - set(declared))),
    )


def _one(said: set[tuple[str, str | None]]) -> CMakeOption:
    defaults = {default for _, default in said}
    return CMakeOption(
        kind=min(kind for kind, _ in said), default=defaults.pop() if len(defaults) == 1 else None
    )


def _literal(word: str | None, absent: str) -> str | None:
    """A default that is the same wherever CMake runs."""
    if word is None:
        return absent
    return None if "$" in word else word.strip('"')
