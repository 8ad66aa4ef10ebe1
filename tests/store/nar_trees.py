"""Trees as values, and on disk: for what is said of a tree by its NAR hash."""

import os
from pathlib import Path
from typing import Any

Tree = dict[str, Any]
"""`{"file": TEXT, "mode": 0o644}`, `{"link": TARGET}` or `{"folder": {NAME: TREE}}`; what is no
UTF-8 is written with surrogates, as Python names files."""


def write_tree(tree: Tree, place: Path) -> None:
    """Make it; a link's target is written as it stands, which pathlib would tidy."""
    match tree:
        case {"link": target}:
            os.symlink(target, place)  # noqa: PTH211
        case {"folder": entries}:
            place.mkdir()
            for name, entry in entries.items():
                write_tree(entry, place / name)
        case {"file": text, "mode": mode}:
            place.write_bytes(os.fsencode(text))
            place.chmod(mode)
        case _:
            raise AssertionError(tree)
