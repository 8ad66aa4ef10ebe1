"""Single rules of the ledger, where the measured rows don't reach."""

import pytest

from llmdecl.facts.model import TensorGroup
from llmdecl.memory.estimate import model_parts, process_parts, total_bytes
from llmdecl.memory.hparams import shape_of, swa_layers
from llmdecl.memory.kv_cache import kv_cache_bytes
from llmdecl.memory.model import MemoryPart
from llmdecl.memory.prompts import checkpoint_bytes, prompt_cache_bytes
from llmdecl.memory.weights import repacked, weights_bytes, weights_parts
from tests.memory.test_allocations import MODELS, TRUTH, parameters

LLAMA = MODELS["llama-3.1-8b-q4_k_m"]
GEMMA = MODELS["gemma-3-12b-q4_k_m"]
MAMBA = MODELS["mamba2-2.7b-q8_0"]
RUN = parameters(next(row for row in TRUTH["rows"] if row["model"] == "llama-3.1-8b-q4_k_m"))
X86 = TRUTH["cpu_features"]


def test_mapped_weights_are_shared_and_whole():
    """A mapping holds the repacked tensors' pages as well; read weights are private."""
    mapped, copy = weights_parts(LLAMA, "d", RUN.replace(mapped=True), X86)
    read, again = weights_parts(LLAMA, "d", RUN, X86)
    assert (mapped.shared, read.shared) == ("weights:d", None)
    assert mapped.bytes == weights_bytes(LLAMA) == read.bytes + copy.bytes
    assert copy == again


def test_no_repacking_without_the_instructions():
    """A processor without AVX2 keeps every tensor as it is; ARM repacks more types."""
    assert repacked(LLAMA, ("sse2",)) == ()
    on_x86 = {group.type for group in repacked(LLAMA, ("avx2",))}
    on_arm = {group.type for group in repacked(LLAMA, ("asimd", "asimddp"))}
    assert on_x86 == {"Q4_K"}
    assert on_arm == {"Q4_K", "Q6_K"}


def test_tied_embedding_is_repacked_beside_the_lookup():
    """A Q4_0 embedding that is the output as well is held twice, read or mapped."""
    embedding = TensorGroup(name="token_embd.weight", type="Q4_0", shape=(256, 64))
    tiny = LLAMA.__class__(
        **{name: getattr(LLAMA, name) for name in LLAMA.__struct_fields__ if name != "tensors"},
        tensors=(embedding,),
    )
    kept, copy = weights_parts(tiny, "d", RUN, X86)
    assert kept.bytes == copy.bytes == weights_bytes(tiny)


def test_shared_parts_count_once():
    parts = [
        MemoryPart(pool="host", part="weights", bytes=b, exact=True, shared=s)
        for b, s in ((5, "a"), (7, "a"), (11, "b"), (13, None), (17, None))
    ]
    assert total_bytes(parts) == 7 + 11 + 13 + 17
    assert total_bytes(parts, "gpu0") == 0


def test_checkpoints_are_for_windows_and_states_only():
    """A model with full attention makes none, however many are allowed."""
    run = RUN.replace(ctx_checkpoints=4)
    assert checkpoint_bytes(shape_of(LLAMA), run) == 0
    assert checkpoint_bytes(shape_of(GEMMA), run) > 0
    assert checkpoint_bytes(shape_of(MAMBA), run) > 0
    assert checkpoint_bytes(shape_of(GEMMA), RUN) == 0


def test_prompt_cache_may_hold_one_prompt_beyond_its_limit():
    run = RUN.replace(cache_ram_bytes=1 << 30)
    assert prompt_cache_bytes(shape_of(LLAMA), RUN) == 0
    kept = prompt_cache_bytes(shape_of(LLAMA), run)
    assert kept == (1 << 30) + kv_cache_bytes(shape_of(LLAMA), run)


def test_header_overrides_the_sliding_pattern():
    """An array in the header wins over the architecture's period."""
    key = "gemma3.attention.sliding_window_pattern"
    told = GEMMA.replace(parameters={**GEMMA.parameters, key: (True, False, True)})
    assert swa_layers(told, 4) == (True, False, True, False)
    assert swa_layers(GEMMA, 7) == (True, True, True, True, True, False, True)


def test_unknown_architecture_is_a_larger_bound():
    """The general rule, with half as much again for the work buffer, and nothing called exact
    that was not read."""
    parameters_ = {k.replace("llama.", "nobody.", 1): v for k, v in LLAMA.parameters.items()}
    odd = LLAMA.replace(architecture="nobody", parameters=parameters_)
    known = {part.part: part for part in model_parts(LLAMA, "d", RUN, X86)}
    unknown = {part.part: part for part in model_parts(odd, "d", RUN, X86)}
    assert unknown["compute"].bytes > known["compute"].bytes
    assert unknown["kv-cache"].bytes == known["kv-cache"].bytes
    assert (unknown["kv-cache"].exact, known["kv-cache"].exact) == (False, True)


@pytest.mark.parametrize("name", MODELS)
def test_every_process_has_a_constant(name):
    """Beside its buffers a process takes memory, whatever the model."""
    (part,) = process_parts(MODELS[name], RUN)
    assert part.bytes > 64 << 20
    assert not part.exact
