"""Which versions of llama.cpp the memory rules are of. Data, and the question. Pure.

0c1e570 (llama-cpp-python 0.3.36) was read. b10434 (7e4c0a9) and b10068 (571d0d5) were checked by
their own logs, and what lies between was taken for them; 4df29be's flags are b10434's.
"""

import re

FIRST, LAST = 10068, 10434
COMMITS = ("0c1e570", "4df29be", "7e4c0a9", "571d0d5")
KNOWN = f"b{FIRST} to b{LAST} and {COMMITS[0]}"
"""For people."""

_BUILD = re.compile(r"(?:b|0\.)([0-9]{4,6})(?:\.[0-9]+)?")
"""A release of llama.cpp, or of a package that is numbered after it: `b10434`, `0.10434.0`."""


def rules_are_of(*, version: str, commit: str | None = None, build: int | None = None) -> bool:
    """Whether the rules are this engine's; `version` may also be a commit.

    An engine's own build number is nothing where it was built of a shallow clone (`build 1`).
    """
    words = [word for word in (version, commit) if word]
    if any(word.startswith(known) for word in words for known in COMMITS):
        return True
    release = _BUILD.fullmatch(version)
    numbers = (build, int(release[1]) if release else None)
    return any(number is not None and FIRST <= number <= LAST for number in numbers)
