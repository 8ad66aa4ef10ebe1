r"""CMake's language, by cmake-language(7): quoted arguments and lines of a comment.

In a quoted argument `\`, `"` and `$` are escaped; `;` and line breaks stand for themselves. With
policy CMP0053 `@` means nothing.
"""

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def quote(text: str) -> str:
    """`text` as one quoted argument."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def refused_name(name: str) -> bool:
    """Whether no cache entry can be called so without quoting."""
    return _NAME.fullmatch(name) is None


def entry(name: str, value: str) -> str:
    """One cache entry; ON and OFF are what CMake calls BOOL."""
    return f'set({name} {quote(value)} CACHE {kind(value)} "")'


def kind(value: str) -> str:
    """The type of a cache entry."""
    return "BOOL" if value in ("ON", "OFF") else "STRING"


def comment(text: str) -> str:
    """`text` after `#`, in one line."""
    return "# " + " ".join(text.split())
