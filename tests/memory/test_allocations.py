"""Against what llama.cpp allocated: 69 dry runs on a CPU for 12 models (`allocations.json`)."""

import json
from pathlib import Path

import msgspec
import pytest

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.compute import compute_bytes
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.kv_cache import kv_cache_bytes
from llmdecl.memory.output import output_bytes
from llmdecl.memory.parameters import run_parameters
from llmdecl.memory.recurrent import recurrent_bytes
from llmdecl.memory.weights import weights_parts

TRUTH = json.loads(Path(__file__).with_name("allocations.json").read_text())
MODELS = {name: msgspec.convert(facts, GgufFacts) for name, facts in TRUTH["models"].items()}
SWITCHES = ("--embedding", "--no-repack")


def arguments(words):
    given, rest = {}, list(words)
    while rest:
        flag = rest.pop(0)
        given[flag] = "" if flag in SWITCHES else rest.pop(0)
    return given


def parameters(row):
    given = arguments(row["args"])
    return run_parameters(
        shape_of(MODELS[row["model"]]),
        ctx_size=int(given.get("-c", 0)),
        parallel=int(given.get("-np", 4)),
        kv_unified="-np" not in given,
        batch_size=int(given.get("-b", 2048)),
        ubatch_size=int(given.get("-ub", 512)),
        type_k=given.get("-ctk", "f16"),
        type_v=given.get("-ctv", "f16"),
        flash_attn=given.get("-fa", "on") == "on",
        swa_full=False,
        embedding="--embedding" in given,
        mapped=False,
        repack="--no-repack" not in given,
        cache_ram_bytes=0,
        ctx_checkpoints=0,
    )


@pytest.mark.parametrize("row", TRUTH["rows"], ids=lambda row: row["id"])
def test_exact_parts_are_exact(row):
    """Context parameters, weights, repacked copies, caches, state and output to the byte."""
    run, gguf = parameters(row), MODELS[row["model"]]
    shape = shape_of(gguf)
    for name in ("n_ctx", "n_ctx_seq", "n_seq_max", "n_batch", "n_ubatch", "n_outputs_max"):
        assert getattr(run, name) == row[name], name
    weights = {p.part: p.bytes for p in weights_parts(gguf, "d", run, TRUTH["cpu_features"])}
    expected = dict(row["buffers"])
    expected.pop("compute")
    assert {
        "weights": weights["weights"],
        "repacked": weights.get("repacked", 0),
        "kv_cache": kv_cache_bytes(shape, run),
        "recurrent": recurrent_bytes(shape, run),
        "output": output_bytes(shape, run),
    } == expected


@pytest.mark.parametrize("row", TRUTH["rows"], ids=lambda row: row["id"])
def test_compute_is_a_bound(row):
    """The work buffer is never estimated too low, and not more than a third too high."""
    shape = shape_of(MODELS[row["model"]])
    needed = row["buffers"]["compute"]
    assert needed <= compute_bytes(shape, parameters(row)) <= needed * 4 / 3
