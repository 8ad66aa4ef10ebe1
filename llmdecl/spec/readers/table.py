"""The languages of a spec, by the file name's ending."""

from collections.abc import Mapping

from llmdecl.spec.readers import json, toml
from llmdecl.spec.readers.text import Reader

READERS: Mapping[str, Reader] = {
    ".toml": Reader(toml.parse, toml.places),
    ".json": Reader(json.parse, json.places),
}
