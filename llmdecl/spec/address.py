"""Addresses: the path of a thing in the spec, as it is written in every diagnostic.

`models.qwen-coder.ctx-size`, `models."qwen2.5".aliases[1]`, `host.devices[0].memory`: names as
TOML writes them, quoted when they are not bare keys; positions count from 0.
"""

import json
import re

Part = str | int
Path = tuple[Part, ...]
"""Names of keys and positions in lists, from the root."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(r'(?:^|\.)([^."\[\]]+)|(?:^|\.)("(?:[^"\\]|\\.)*")|\[(\d{1,9})\]')


def quote_key(name: str) -> str:
    """`name` as one key of an address: bare where TOML allows it, else a quoted string."""
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=not name.isprintable())


def address(*parts: Part) -> str:
    """The address of a path: `address("models", "qwen2.5", "aliases", 1)`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + quote_key(part)
    return text


def name_of(path: Path) -> str:
    """What a message calls a place: its key, and the position when it is in a list."""
    if path and isinstance(path[-1], int) and len(path) > 1:
        return f"{name_of(path[:-1])}[{path[-1]}]"
    return address(*path[-1:]) if path else "spec"


def parse_address(text: str) -> Path | None:
    """The inverse of `address`; None for what is no address."""
    parts: list[Part] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        bare, quoted, index = match.groups()
        if index is not None:
            parts.append(int(index))
        elif bare is not None:
            parts.append(bare)
        else:
            try:
                parts.append(str(json.loads(quoted, strict=False)))
            except ValueError:
                return None
        position = match.end()
    return tuple(parts)
