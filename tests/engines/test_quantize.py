"""Tensor types as llama-quantize gives them, against headers that it wrote."""

import pytest

from llmdecl.engines.llama_cpp.quantize import FILE_TYPES, group_bytes, requantized
from llmdecl.facts.gguf import read_gguf
from llmdecl.facts.model import TensorGroup
from tests.memory.test_allocations import MODELS

WRITTEN = [
    "gemma-3-12b-q4_k_m", "lfm2-1.2b-q4_k_m", "llama-3.1-8b-q4_k_m", "llama-3.2-3b-q4_k_m",
    "mamba2-2.7b-q8_0", "mixtral-8x7b-q4_k_m", "nomic-embed-text-v1.5-q8_0",
    "qwen2.5-coder-14b-q4_k_m",
]  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_comes_out_as_it_is(name):
    """Types depend on names, shapes and widths alone, so its own type changes nothing."""
    gguf = MODELS[name]
    again = requantized(gguf, "Q8_0" if name.endswith("q8_0") else "Q4_K_M")
    assert again.tensors == tuple(sorted(gguf.tensors, key=lambda g: (g.name, g.type, g.shape)))
    assert again.tensor_bytes == sum(group_bytes(group) for group in gguf.tensors)


def test_a_published_file(gemma3):
    """Gemma 3 270M as llama-quantize wrote it: rows of 640 are not whole blocks of 256."""
    gguf, _ = read_gguf(gemma3)
    assert requantized(gguf, "Q4_K_M").tensors == gguf.tensors
    assert gguf.tensor_bytes == sum(group_bytes(group) for group in gguf.tensors)


@pytest.mark.parametrize("name", MODELS)
def test_sizes_fall_with_bits(name):
    """Every type is smaller than the one before it, whatever the file was; nothing is lost."""
    gguf = MODELS[name]
    sizes = [requantized(gguf, kind).tensor_bytes for kind in ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")]
    assert sizes == sorted(sizes, reverse=True)
    for kind in FILE_TYPES:
        again = requantized(gguf, kind)
        counted = {(g.name, g.shape): 0 for g in again.tensors}
        assert counted.keys() == {(g.name, g.shape) for g in gguf.tensors}
        assert sum(g.count for g in again.tensors) == sum(g.count for g in gguf.tensors)
        assert requantized(again, kind).tensors == again.tensors


def test_what_is_never_quantized():
    """Norms, biases, routers and convolutions keep their types; odd rows become F16."""
    kept = [
        TensorGroup(name="blk.*.attn_norm.weight", type="F32", shape=(256,), blocks=(0,)),
        TensorGroup(name="blk.*.attn_q.bias", type="F32", shape=(256, 2), blocks=(0,)),
        TensorGroup(name="blk.*.ffn_gate_inp.weight", type="F32", shape=(256, 8), blocks=(0,)),
        TensorGroup(name="blk.*.ssm_conv1d.weight", type="F32", shape=(4, 256), blocks=(0,)),
    ]
    odd = TensorGroup(name="blk.*.attn_q.weight", type="F32", shape=(20, 4), blocks=(0,))
    gguf = MODELS["llama-3.1-8b-q4_k_m"].replace(tensors=(*kept, odd))
    again = {group.name: group.type for group in requantized(gguf, "Q4_K_M").tensors}
    assert all(again[group.name] == "F32" for group in kept)
    assert again[odd.name] == "F16"
