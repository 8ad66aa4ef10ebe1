"""Single rules of the ledger, where the measured rows don't reach."""

import pytest

from llmdecl.facts.model import TensorGroup
from llmdecl.memory.allocations import allocations, context_memory, loaded
from llmdecl.memory.estimate import model_parts, process_parts, total_bytes
from llmdecl.memory.model import ON_CPU, MemoryPart
from llmdecl.memory.prompts import checkpoint_bytes, prompt_cache_bytes
from tests.memory.test_allocations import MODELS, TRUTH, parameters

LLAMA = MODELS["llama-3.1-8b-q4_k_m"]
GEMMA = MODELS["gemma-3-12b-q4_k_m"]
MAMBA = MODELS["mamba2-2.7b-q8_0"]
RUN = parameters(next(row for row in TRUTH["rows"] if row["model"] == "llama-3.1-8b-q4_k_m"))
X86 = TRUTH["cpu_features"]


def weights(gguf, features=X86, **changes):
    """Parts `weights` and `repacked` of a model on the CPU."""
    parts = model_parts(gguf, "d", RUN.replace(**changes), features)
    return {part.part: part for part in parts if part.part in ("weights", "repacked")}


def test_mapped_weights_are_shared_and_whole():
    """A mapping holds the repacked tensors' pages as well; read weights are private."""
    mapped, read = weights(LLAMA, mapped=True), weights(LLAMA)
    assert (mapped["weights"].shared, read["weights"].shared) == ("weights:d", None)
    assert mapped["weights"].bytes == read["weights"].bytes + read["repacked"].bytes
    assert mapped["repacked"] == read["repacked"]


def test_no_repacking_without_the_instructions():
    """A processor without AVX2 keeps every tensor as it is; ARM repacks more types."""
    assert "repacked" not in weights(LLAMA, ("sse2",))
    on_x86, on_arm = weights(LLAMA, ("avx2",)), weights(LLAMA, ("asimd", "asimddp"))
    assert 0 < on_x86["repacked"].bytes < on_arm["repacked"].bytes
    assert "repacked" not in weights(LLAMA, repack=False)


def test_tied_embedding_is_repacked_beside_the_lookup():
    """A Q4_0 embedding that is the output as well is held twice when read, once when mapped."""
    embedding = TensorGroup(name="token_embd.weight", type="Q4_0", shape=(256, 64))
    tiny = LLAMA.replace(tensors=(embedding,), architecture="nobody", parameters={})
    size = 256 * 64 // 32 * 18
    read, mapped = weights(tiny), weights(tiny, mapped=True)
    assert {part.bytes for part in (*read.values(), *mapped.values())} == {size}


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
    assert checkpoint_bytes(context_memory(LLAMA, run), run) == 0
    assert checkpoint_bytes(context_memory(GEMMA, run), run) > 0
    assert checkpoint_bytes(context_memory(MAMBA, run), run) > 0
    assert checkpoint_bytes(context_memory(GEMMA, RUN), RUN) == 0


def test_prompt_cache_may_hold_one_prompt_beyond_its_limit():
    run = RUN.replace(cache_ram_bytes=1 << 30)
    memory = context_memory(LLAMA, run)
    assert prompt_cache_bytes(memory, RUN) == 0
    caches = allocations(LLAMA, run, ON_CPU, X86).host.kv_cache
    assert prompt_cache_bytes(memory, run) == (1 << 30) + caches // run.streams


def test_header_overrides_the_sliding_pattern():
    """An array in the header wins over the architecture's period."""
    key = "gemma3.attention.sliding_window_pattern"
    told = GEMMA.replace(parameters={**GEMMA.parameters, key: (True, False, True)})
    assert loaded(told).h.is_swa[:4] == [True, False, True, False]
    assert loaded(GEMMA).h.is_swa[:7] == [True, True, True, True, True, False, True]


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
