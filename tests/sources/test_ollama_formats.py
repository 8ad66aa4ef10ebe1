"""What Ollama writes in a layout of its own is recognised, and nothing else is."""

import re
from pathlib import Path

import pytest

from llmdecl.facts.gguf import read_header
from llmdecl.facts.gguf_values import Passed
from llmdecl.sources.ollama.compatibility import equivalents, incompatible
from llmdecl.sources.ollama.formats import FORMATS
from llmdecl.sources.ollama.marks import Marks

REFERENCE = {
    *("gemma3", "gemma3n", "gemma4", "gptoss", "lfm2", "olmo3", "mistral3", "qwen35", "qwen35moe"),
    *("qwen3next", "qwen25vl", "qwen3vl", "qwen3vlmoe", "deepseekocr", "glmocr", "glm4moelite"),
    *("laguna", "nemotron_h_moe", "nemotron_h_omni", "llama4", "bert", "llama", "clip"),
}
"""The architectures of Ollama's `llama/compat/README.md`."""


def tokens(count: int) -> Passed:
    return Passed("string", count, 0, 0)


EMBD = {"token_embd.weight": (8, 4)}
GEMMA3 = {"gemma3.attention.layer_norm_rms_epsilon": 1e-6, "gemma3.rope.freq_base": 1e6}
ROPE4 = (24, 20, 20, 0)
LLAMA3 = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.bos_token_id": 128000,
    "tokenizer.ggml.tokens": tokens(128256),
}

REFUSED = {
    "embeddinggemma": ("gemma3", GEMMA3, {"dense.0.weight": (8, 16)}),
    "gemma3 with pictures": ("gemma3", GEMMA3, {"v.patch_embedding.weight": (2, 2)}),
    "gemma3 projector": ("gemma3", GEMMA3, {"mm.mm_input_projection.weight": (2, 2)}),
    "gemma3 of 1B": ("gemma3", {"gemma3.rope.global.freq_base": 1e6}, {}),
    "gemma3 without epsilon": ("gemma3", {"gemma3.rope.freq_base": 1e6}, {}),
    "gemma3 with more tokens": (
        "gemma3",
        GEMMA3 | {"tokenizer.ggml.tokens": tokens(5)},
        EMBD,
    ),
    "gemma3n": ("gemma3n", {}, EMBD | {"per_layer_token_embd.weight": (8, 3)}),
    "gemma4 with sound": ("gemma4", {}, {"a.blk.0.ln1.weight": (2,)}),
    "gemma4 tokenizer": ("gemma4", {"tokenizer.ggml.model": "llama"}, {}),
    "snowflake": (
        "bert",
        {
            "tokenizer.ggml.model": "t5",
            "tokenizer.ggml.precompiled_charsmap": Passed("string", 316720, 0, 0),
        },
        {},
    ),
    "gptoss": ("gptoss", {}, {"blk.0.attn_sinks": (8,)}),
    "lfm2": ("lfm2", {}, {"output_norm.weight": (8,)}),
    "olmo3": ("olmo3", {}, {}),
    "mistral3": ("mistral3", {}, {"v.patch_conv.weight": (2, 2)}),
    "mistral3 rope": ("mistral3", {"mistral3.rope.scaling_beta": 0.1}, {}),
    "mistral3 yarn": ("mistral3", {"mistral3.rope.scaling.beta_fast": 32.0}, {}),
    "qwen35": ("qwen35", {}, {"blk.0.ssm_dt": (8,)}),
    "qwen35 mtp": ("qwen35", {}, {"mtp.fc.weight": (2, 2)}),
    "qwen35 rope": ("qwen35", {"qwen35.rope.dimension_sections": (11, 11, 10)}, {}),
    "qwen35moe": ("qwen35moe", {"qwen35moe.vision.block_count": 27}, {}),
    "qwen3next": ("qwen3next", {}, {"blk.3.ssm_dt": (8,)}),
    "qwen25vl": ("qwen25vl", {}, {}),
    "qwen3vl": ("qwen3vl", {}, {}),
    "qwen3vlmoe": ("qwen3vlmoe", {}, {"v.pos_embed.weight": (2, 2)}),
    "deepseekocr": ("deepseekocr", {}, {"s.position_embd": (2, 2)}),
    "glmocr": ("glmocr", {}, {}),
    "glm4moelite": ("glm4moelite", {}, {}),
    "laguna": ("laguna", {}, {"blk.0.attn_g.weight": (8,)}),
    "laguna rope": ("laguna", {"laguna.rope.swa.freq_base": 1e4}, {}),
    "nemotron_h_moe": ("nemotron_h_moe", {}, {"blk.1.ffn_latent_in.weight": (2, 2)}),
    "nemotron_h_omni": ("nemotron_h_omni", {}, {}),
    "llama 3": ("llama", LLAMA3, {}),
    "llama 3 by default": ("llama", LLAMA3 | {"tokenizer.ggml.pre": "default"}, {}),
    "llama4": ("llama4", {}, {"v.class_embedding": (8,)}),
    "llava": ("clip", {"clip.has_vision_encoder": True}, {"v.blk.0.ln1.weight": (8,)}),
    "mllama": ("mllama", {}, {}),
    "anything with pictures": ("phi3", {}, {"mm.0.weight": (2, 2)}),
}

TAKEN = {
    "gemma3": ("gemma3", GEMMA3 | {"tokenizer.ggml.tokens": tokens(4)}, EMBD),
    "gemma3n": ("gemma3n", {}, EMBD | {"per_layer_token_embd.weight": (16, 4)}),
    "gemma4": ("gemma4", {"tokenizer.ggml.model": "gemma4"}, {}),
    "bert": (
        "bert",
        {
            "tokenizer.ggml.model": "t5",
            "tokenizer.ggml.precompiled_charsmap": Passed("i8", 237539, 0, 0),
        },
        {},
    ),
    "gpt-oss": ("gpt-oss", {}, {"blk.0.attn_sinks.weight": (8,)}),
    "lfm2": ("lfm2", {}, {"token_embd_norm.weight": (8,)}),
    "olmo2": ("olmo2", {}, {}),
    "mistral3": ("mistral3", {"mistral3.attention.temperature_scale": 0.1}, {}),
    "qwen35": ("qwen35", {"qwen35.rope.dimension_sections": ROPE4}, {"blk.0.ssm_dt.bias": (8,)}),
    "qwen3next": ("qwen3next", {}, {"blk.3.ssm_dt.bias": (8,)}),
    "qwen3vl": ("qwen3vl", {"qwen3vl.rope.dimension_sections": ROPE4}, {}),
    "laguna": ("laguna", {"laguna.rope.freq_base_swa": 1e4}, {"blk.0.attn_gate.weight": (8,)}),
    "nemotron_h_moe": ("nemotron_h_moe", {}, {"blk.1.ffn_latent_down.weight": (2, 2)}),
    "llama 3": ("llama", LLAMA3 | {"tokenizer.ggml.pre": "llama-bpe"}, {}),
    "llama 2": ("llama", {"tokenizer.ggml.model": "llama"}, {}),
    "llama4": ("llama4", {}, {}),
    "clip": (
        "clip",
        {"clip.has_vision_encoder": True, "clip.projector_type": "mlp"},
        {"v.blk.0.ln1.weight": (8,), "mm.0.weight": (2, 2)},
    ),
    "clip, newer": (
        "clip",
        {"clip.has_vision_encoder": True, "clip.vision.projector_type": "gemma4v"},
        {},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ollamas_layout_is_recognised(case):
    """Every sign of Ollama's own translation that upstream fails on is seen."""
    found = incompatible(Marks(*REFUSED[case]))
    assert found is not None
    assert found.format.architecture == REFUSED[case][0]


@pytest.mark.parametrize("case", TAKEN)
def test_upstreams_layout_is_taken(case):
    """The same architectures as llama.cpp's converter writes them pass."""
    assert incompatible(Marks(*TAKEN[case])) is None


def test_the_table_is_whole():
    """Every architecture that Ollama translates is in the table, tested, and has a remedy."""
    listed = {row.architecture for row in FORMATS}
    assert listed >= REFERENCE
    assert listed <= {architecture for architecture, _, _ in REFUSED.values()}
    for row in FORMATS:
        assert row.repositories or row.upstream is None
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in row.repositories)


def test_the_equivalent_is_of_the_same_size():
    """Tag and size in words choose among a table row's repositories."""
    gemma3 = next(row for row in FORMATS if row.upstream == "gemma3")
    assert equivalents(gemma3, "ollama:gemma3:4b") == ("ggml-org/gemma-3-4b-it-GGUF",)
    assert equivalents(gemma3, "ollama:gemma3", "27b") == ("ggml-org/gemma-3-27b-it-GGUF",)
    assert equivalents(gemma3, "ollama:gemma3", "4.3B") == ("ggml-org/gemma-3-4b-it-GGUF",)
    assert equivalents(gemma3, "ollama:gemma3", "999M") == ("ggml-org/gemma-3-1b-it-GGUF",)
    assert equivalents(gemma3, "ollama:mine") == gemma3.repositories
    gemma4 = next(row for row in FORMATS if row.architecture == "gemma4")
    assert equivalents(gemma4, "ollama:gemma4:e4b") == ("ggml-org/gemma-4-E4B-it-GGUF",)


@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
def test_real_models_pass(model, request):
    """SmolLM2 and Gemma 3 as llama.cpp's converter made them are taken."""
    path: Path = request.getfixturevalue(model)
    header, _ = read_header(path)
    assert header is not None
    assert incompatible(Marks.of(header)) is None
