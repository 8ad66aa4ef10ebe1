"""How a build tells what it does; the room itself never prints."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

_COMPILES = re.compile(r"Building (?P<language>[A-Z]+) object (?P<path>\S+)")


class BuildProgress(Protocol):
    """One build at a time."""

    def step(self, item: str, what: str) -> None:
        """`item` is now configured, compiled, installed ..."""

    def objects(self, done: int, total: int, path: str) -> None:
        """`done` of `total` objects are compiled or begun; `path` is the last one."""

    def finished(self) -> None:
        """No more about it."""


class SilentBuild:
    """Tells nobody."""

    def step(self, item: str, what: str) -> None:
        """Nothing."""

    def objects(self, done: int, total: int, path: str) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""


def compiled_object(line: str) -> str | None:
    """The object that this line of ninja or make speaks of."""
    match = _COMPILES.search(line)
    return match["path"] if match else None


def count_objects(lines: Iterable[str]) -> Mapping[str, int]:
    """Objects by language (`C`, `CXX`, `CUDA`, ...) in the output of a dry run; sorted.

    make speaks of an object again for every target that it is part of.
    """
    found = {
        (match["language"], match["path"]) for line in lines if (match := _COMPILES.search(line))
    }
    return dict(sorted(Counter(language for language, _ in found).items()))
