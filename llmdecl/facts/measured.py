"""What models took when they ran here: the router's notes in the state folder."""

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from llmdecl.measured import Measured
from llmdecl.values import from_json

LARGEST_FILE = 1 << 20


def read_measured(folder: Path, models: Collection[str]) -> Mapping[str, Measured]:
    """Measurements by digest, of the named models. A file that can't be read is not there: it is
    written anew by the next start."""
    found: dict[str, Measured] = {}
    try:
        paths = sorted(folder.glob("*.json"))
    except OSError:
        return found
    for path in paths:
        try:
            with path.open("rb") as file:
                one = from_json(file.read(LARGEST_FILE), Measured)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue
        if one.schema == 1 and one.model in models and one.digest == path.stem:
            found[one.digest] = one
    return found
