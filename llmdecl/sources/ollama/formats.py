"""GGUF files that Ollama writes and upstream llama.cpp cannot load, or loads wrongly.

Ollama translates them while it loads. Which files, and by what it knows them, is
llama/compat/llama-ollama-compat.cpp and its README in ollama/ollama (fb30760, August 2026);
signs that upstream only ignores are left out. What upstream calls an architecture is
src/llama-arch.cpp of llama.cpp (0c1e570).
"""

from dataclasses import dataclass

from llmdecl.sources.ollama.marks import (
    Sign,
    always,
    both,
    embedded,
    key,
    length,
    llama_3,
    more_tokens_than_rows,
    no_key,
    tensor,
    texts,
    true,
    value,
    vocabularies_differ,
)


@dataclass(frozen=True, slots=True)
class Format:
    """One such layout. Any of `signs` tells it; `upstream` is the architecture's name there.

    `repositories` hold the same models in upstream's layout, on Hugging Face.
    """

    architecture: str
    upstream: str | None
    why: str
    signs: tuple[Sign, ...]
    repositories: tuple[str, ...] = ()


INSIDE = "llama.cpp wants the encoder in a file of its own (`mmproj`)"


def _qwen35(name: str) -> tuple[Sign, ...]:
    return (
        embedded,
        tensor("^mtp."),
        tensor(".ssm_dt$"),
        length(f"{name}.rope.dimension_sections", 3),
        key(f"{name}.vision.block_count"),
        key(f"{name}.image_token_id"),
        key(f"{name}.ssm.v_head_reordered"),
        key(f"{name}.rope.mrope_interleaved"),
    )


FORMATS: tuple[Format, ...] = (
    Format(
        "gemma3",
        "gemma-embedding",
        "an embedding model has an architecture of its own in llama.cpp",
        (tensor("^dense.0.weight$"),),
        ("ggml-org/embeddinggemma-300M-qat-q4_0-GGUF",),
    ),
    Format(
        "gemma3",
        "gemma3",
        "keys and tokens are not where llama.cpp reads them, or the encoder is inside",
        (
            embedded,
            key("gemma3.mm.tokens_per_image"),
            key("gemma3.rope.global.freq_base", instead_of="gemma3.rope.freq_base"),
            key("gemma3.rope.local.freq_base", instead_of="gemma3.rope.freq_base_swa"),
            no_key("gemma3.attention.layer_norm_rms_epsilon"),
            more_tokens_than_rows,
        ),
        (
            "ggml-org/gemma-3-270m-it-GGUF",
            "ggml-org/gemma-3-1b-it-GGUF",
            "ggml-org/gemma-3-4b-it-GGUF",
            "ggml-org/gemma-3-12b-it-GGUF",
            "ggml-org/gemma-3-27b-it-GGUF",
        ),
    ),
    Format(
        "gemma3n",
        "gemma3n",
        "llama.cpp wants as many rows in both embeddings, and no encoder inside",
        (embedded, vocabularies_differ),
        ("ggml-org/gemma-3n-E2B-it-GGUF", "ggml-org/gemma-3n-E4B-it-GGUF"),
    ),
    Format(
        "gemma4",
        "gemma4",
        f"{INSIDE}, and a tokenizer called `gemma4`",
        (embedded, value("tokenizer.ggml.model", "llama")),
        (
            "ggml-org/gemma-4-E2B-it-GGUF",
            "ggml-org/gemma-4-E4B-it-GGUF",
            "ggml-org/gemma-4-26B-A4B-it-GGUF",
            "ggml-org/gemma-4-31B-it-GGUF",
        ),
    ),
    Format(
        "bert",
        "bert",
        "llama.cpp wants the tokenizer's character map as bytes (Snowflake Arctic Embed 2)",
        (both(value("tokenizer.ggml.model", "t5"), texts("tokenizer.ggml.precompiled_charsmap")),),
        ("Casual-Autopsy/snowflake-arctic-embed-l-v2.0-gguf",),
    ),
    Format(
        "gptoss",
        "gpt-oss",
        "architecture, keys and tensors have other names in llama.cpp",
        (always,),
        ("ggml-org/gpt-oss-20b-GGUF", "ggml-org/gpt-oss-120b-GGUF"),
    ),
    Format(
        "lfm2",
        "lfm2",
        "llama.cpp calls the last norm `token_embd_norm.weight`",
        (tensor("^output_norm.weight$", without="token_embd_norm.weight"),),
        (
            "LiquidAI/LFM2-350M-GGUF",
            "LiquidAI/LFM2-700M-GGUF",
            "LiquidAI/LFM2-1.2B-GGUF",
            "LiquidAI/LFM2-2.6B-GGUF",
        ),
    ),
    Format(
        "olmo3",
        "olmo2",
        "llama.cpp reads OLMo 3 as `olmo2`",
        (always,),
        (
            "unsloth/Olmo-3-7B-Instruct-GGUF",
            "unsloth/Olmo-3-7B-Think-GGUF",
            "unsloth/Olmo-3-32B-Think-GGUF",
        ),
    ),
    Format(
        "mistral3",
        "mistral3",
        f"{INSIDE}, and the keys of YaRN under other names",
        (
            embedded,
            key(
                "mistral3.rope.scaling.beta_fast",
                instead_of="mistral3.rope.scaling.yarn_beta_fast",
            ),
            key(
                "mistral3.rope.scaling.mscale_all_dim",
                instead_of="mistral3.rope.scaling.yarn_log_multiplier",
            ),
            key("mistral3.rope.scaling_beta", instead_of="mistral3.attention.temperature_scale"),
        ),
        (
            "ggml-org/Mistral-Small-3.1-24B-Instruct-2503-GGUF",
            "mistralai/Ministral-3-3B-Instruct-2512-GGUF",
            "mistralai/Ministral-3-8B-Instruct-2512-GGUF",
            "mistralai/Ministral-3-14B-Instruct-2512-GGUF",
        ),
    ),
    Format(
        "qwen35",
        "qwen35",
        f"{INSIDE}, and the tensors of SSM and MTP under other names",
        _qwen35("qwen35"),
        (
            "ggml-org/Qwen3.5-0.8B-GGUF",
            "unsloth/Qwen3.5-4B-GGUF",
            "lmstudio-community/Qwen3.5-9B-GGUF",
            "ggml-org/Qwen3.6-27B-GGUF",
        ),
    ),
    Format(
        "qwen35moe",
        "qwen35moe",
        f"{INSIDE}, and the tensors of SSM and MTP under other names",
        _qwen35("qwen35moe"),
        ("unsloth/Qwen3.5-35B-A3B-GGUF", "bartowski/Qwen_Qwen3.5-397B-A17B-GGUF"),
    ),
    Format(
        "qwen3next",
        "qwen3next",
        "llama.cpp calls the tensors `ssm_dt.bias`",
        (tensor(".ssm_dt$"),),
        ("unsloth/Qwen3-Next-80B-A3B-Instruct-GGUF", "ggml-org/Qwen3-Coder-Next-GGUF"),
    ),
    Format(
        "qwen25vl",
        "qwen2vl",
        "llama.cpp reads Qwen2.5-VL as `qwen2vl`, with the encoder in a file of its own",
        (always,),
        (
            "ggml-org/Qwen2.5-VL-3B-Instruct-GGUF",
            "ggml-org/Qwen2.5-VL-7B-Instruct-GGUF",
            "ggml-org/Qwen2.5-VL-32B-Instruct-GGUF",
            "ggml-org/Qwen2.5-VL-72B-Instruct-GGUF",
        ),
    ),
    Format(
        "qwen3vl",
        "qwen3vl",
        f"{INSIDE}, and the sections of RoPE in the header",
        (embedded, no_key("qwen3vl.rope.dimension_sections")),
        (
            "Qwen/Qwen3-VL-2B-Instruct-GGUF",
            "Qwen/Qwen3-VL-4B-Instruct-GGUF",
            "Qwen/Qwen3-VL-8B-Instruct-GGUF",
            "Qwen/Qwen3-VL-32B-Instruct-GGUF",
        ),
    ),
    Format(
        "qwen3vlmoe",
        "qwen3vlmoe",
        f"{INSIDE}, and the sections of RoPE in the header",
        (embedded, no_key("qwen3vlmoe.rope.dimension_sections")),
        (
            "Qwen/Qwen3-VL-30B-A3B-Instruct-GGUF",
            "Qwen/Qwen3-VL-235B-A22B-Instruct-GGUF",
        ),
    ),
    Format(
        "deepseekocr",
        "deepseek2-ocr",
        "architecture and keys have other names in llama.cpp, which wants the encoders apart",
        (always,),
        ("ggml-org/DeepSeek-OCR-GGUF",),
    ),
    Format(
        "glmocr",
        "glm4",
        "llama.cpp reads GLM-OCR as `glm4`, with fused matrices and the encoder apart",
        (always,),
        ("ggml-org/GLM-OCR-GGUF",),
    ),
    Format(
        "glm4moelite",
        "deepseek2",
        "llama.cpp reads GLM-4.7 Flash as `deepseek2`, with the lengths of absorbed MLA",
        (always,),
        ("ggml-org/GLM-4.7-Flash-GGUF",),
    ),
    Format(
        "laguna",
        "laguna",
        "llama.cpp calls the gates `attn_gate`, and has other keys for the sliding window",
        (
            tensor(".attn_g.weight$"),
            key("laguna.rope.swa.dimension_count", instead_of="laguna.rope.dimension_count_swa"),
            key("laguna.rope.swa.freq_base", instead_of="laguna.rope.freq_base_swa"),
        ),
        ("unsloth/Laguna-S-2.1-GGUF",),
    ),
    Format(
        "nemotron_h_moe",
        "nemotron_h_moe",
        "llama.cpp calls the tensors `ffn_latent_down` and `ffn_latent_up`, and reads no MTP here",
        (tensor(".ffn_latent_in"), tensor("^mtp.")),
        ("ggml-org/Nemotron-3-Super-120B-GGUF", "ggml-org/NVIDIA-Nemotron-3-Nano-30B-A3B-GGUF"),
    ),
    Format(
        "nemotron_h_omni",
        "nemotron_h_moe",
        "llama.cpp reads the text alone as `nemotron_h_moe`, with the encoders apart",
        (always,),
        ("ggml-org/NVIDIA-Nemotron-3-Nano-30B-A3B-GGUF",),
    ),
    Format(
        "llama",
        "llama",
        "llama.cpp would cut text into the wrong tokens without `tokenizer.ggml.pre`",
        (both(llama_3, value("tokenizer.ggml.pre", None, "", "default")),),
        (
            "bartowski/Llama-3.2-1B-Instruct-GGUF",
            "bartowski/Llama-3.2-3B-Instruct-GGUF",
            "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
            "bartowski/Llama-3.3-70B-Instruct-GGUF",
        ),
    ),
    Format(
        "llama4",
        "llama4",
        INSIDE,
        (embedded,),
        ("ggml-org/Llama-4-Scout-17B-16E-Instruct-GGUF",),
    ),
    Format(
        "clip",
        "clip",
        "llama.cpp wants the kind of projector in `clip.projector_type`",
        (
            both(
                true("clip.has_vision_encoder"),
                value("clip.projector_type", None),
                value("clip.vision.projector_type", None),
            ),
        ),
        ("second-state/Llava-v1.5-7B-GGUF",),
    ),
    # convert/convert_mllama.go: Llama 3.2 Vision, for which llama.cpp has no graph
    Format("mllama", None, "llama.cpp cannot run it at all", (always,)),
)
"""A row whose signs are not there is passed over; the first that tells a file is its format."""
