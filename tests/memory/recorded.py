"""What llama.cpp allocated for recorded headers, and the same questions for the memory room."""

import json
from pathlib import Path

import msgspec

from llmdecl.backends.table import BACKENDS
from llmdecl.engines.llama_cpp.command_line import parameters_of, placement_of, read_arguments
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import allocations
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import HOST, Device

FOLDER = Path(__file__).parent / "data/graphs"
FIELDS = {"weights": ("weights", "repacked"), "kv": ("kv_cache",), "recurrent": ("recurrent",),
          "output": ("output",), "compute": ("compute",)}  # fmt: skip
WITH_PRETEND = {
    **BACKENDS,
    "pretend": BACKENDS["cuda"].replace(keeps_for_fusions=False, computes_all=True),
}
"""Pretend devices are like CUDA's, but compute everything and fuse nothing."""


def files():
    """Every recording."""
    return sorted(FOLDER.glob("*.json"))


def read(path):
    """The header's facts, the processor's features, the rows that have an answer."""
    kept = json.loads(path.read_text())
    gguf = msgspec.convert(kept["gguf"], GgufFacts)
    return gguf, kept["cpu_features"], [row for row in kept["rows"] if "error" not in row]


def devices(row):
    """`pretend:2:24576` as devices in llama.cpp's order."""
    if row["backend"] == "cpu":
        return ()
    kind, _, rest = row["backend"].partition(":")
    size = int(rest.split(":")[1]) << 20
    names = row["all_devices"] if "all_devices" in row else _names(kind, int(rest.split(":")[0]))
    return tuple(Device(id=name, backend=kind, free_bytes=size) for name in names)


def _names(kind, count):
    return [f"{kind.upper()}{index}" for index in range(count)]


def question(gguf, row):
    """Parameters and placement of a row."""
    given = read_arguments(row["args"].split())
    return parameters_of(given, shape_of(gguf)), placement_of(given, devices(row))


def answer(gguf, features, row):
    """Our answer in the recording's columns: bytes by device and part, and decisions."""
    run, placement = question(gguf, row)
    found = allocations(gguf, run, placement, features)
    places = {place.place: place for place in found.places}
    used = {
        name: {
            column: sum(getattr(places[name], part) for part in parts)
            for column, parts in FIELDS.items()
        }
        for name in (*row["devices"], HOST)
    }
    return used, found
