"""Against what llama.cpp allocated: 69 dry runs on a CPU for 12 models (`allocations.json`)."""

import json
from pathlib import Path

import msgspec
import pytest

from llmdecl.engines.llama_cpp.command_line import parameters_of, read_arguments
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import allocations
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import ON_CPU

TRUTH = json.loads(Path(__file__).with_name("allocations.json").read_text())
MODELS = {name: msgspec.convert(facts, GgufFacts) for name, facts in TRUTH["models"].items()}


def parameters(row):
    given = read_arguments(row["args"])
    return parameters_of(given, shape_of(MODELS[row["model"]])).replace(
        cache_ram_bytes=0, ctx_checkpoints=0, mapped=False
    )


@pytest.mark.parametrize("row", TRUTH["rows"], ids=lambda row: row["id"])
def test_every_part_is_exact(row):
    """Context parameters, weights, repacked copies, caches, state, output and work buffer."""
    run, gguf = parameters(row), MODELS[row["model"]]
    for name in ("n_ctx", "n_ctx_seq", "n_seq_max", "n_batch", "n_ubatch", "n_outputs_max"):
        assert getattr(run, name) == row[name], name
    host = allocations(gguf, run, ON_CPU, TRUTH["cpu_features"]).host
    assert {
        "weights": host.weights,
        "repacked": host.repacked,
        "kv_cache": host.kv_cache,
        "recurrent": host.recurrent,
        "output": host.output,
        "compute": host.compute,
    } == row["buffers"]
