"""Metadata for any architecture of llama.cpp, in sizes that are not its own but are plausible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gguf_hole import U32s, U64s

Meta = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """The sizes that an architecture's metadata is made of."""

    layers: int = 8
    embd: int = 512
    heads: int = 8
    heads_kv: int = 2
    ff: int = 1792
    ff_expert: int = 768
    experts: int = 16
    used: int = 4
    vocab: int = 4096
    ctx: int = 8192
    window: int = 512


MLA = frozenset(
    (
        "deepseek2",
        "deepseek32",
        "glm-dsa",
        "dots3note",
        "kimi-linear",
        "bailingmoe3",
        "kimi-k3",
        "glm5-next",
        "mistral4",
        "hy_v4",
        "deepseek2-ocr",
        "plm",
    )
)
PER_LAYER_HEADS = frozenset(
    (
        "plamo2",
        "jamba",
        "granitehybrid",
        "lfm2",
        "lfm2moe",
        "kimi-linear",
        "bailingmoe3",
        "kimi-k3",
        "glm5-next",
    )
)
SWA_ARRAY = frozenset(
    (
        "cohere2moe",
        "mimo2",
        "step35",
        "spark2_5",
        "muse-glimmer",
        "granite_swa",
        "dots3note",
        "maple",
        "gemma4",
        "gemma4-assistant",
        "dflash",
    )
)
SSM_256 = frozenset(["qwen3next", "qwen35", "qwen35moe", "qwen4exp"])


def metadata(arch: str, size: Size, *, moe: bool) -> Meta:
    """Every key that some architecture reads, as tests/test-llama-archs.cpp:87-420 does."""
    n, embd, heads = size.layers, size.embd, size.heads
    head = embd // heads
    m: Meta = {
        "vocab_size": size.vocab,
        "context_length": size.ctx,
        "embedding_length": embd,
        "features_length": embd,
        "block_count": n,
        "leading_dense_block_count": 1,
        "feed_forward_length": size.ff,
        "use_parallel_residual": False,
        "logit_scale": 1.0,
        "time_mix_extra_dim": 64,
        "time_decay_extra_dim": 128,
        "full_attention_interval": 4 if n >= 4 else 2,
        "attention.head_count": heads,
        "attention.head_count_kv": size.heads_kv,
        "attention.max_alibi_bias": 8.0,
        "attention.clamp_kqv": 1.0,
        "attention.layer_norm_epsilon": 1e-5,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "attention.group_norm_epsilon": 1e-5,
        "attention.group_norm_groups": 8,
        "attention.q_lora_rank": 512,
        "attention.kv_lora_rank": 512,
        "attention.decay_lora_rank": 64,
        "attention.iclr_lora_rank": 64,
        "attention.value_residual_mix_lora_rank": 32,
        "attention.gate_lora_rank": 128,
        "attention.relative_buckets_count": 32,
        "attention.sliding_window": size.window,
        "attention.sliding_window_pattern": 2,
        "attention.indexer.head_count": 64,
        "attention.indexer.key_length": 128,
        "attention.indexer.top_k": 2048,
        "attention.indexer.block_size": 4,
        "attention.indexer.kpool": 4,
        "attention.indexer.kpool_select_tail": True,
        "attention.indexer.local_blocks": 1,
        "rope.dimension_sections": [head // 4] * 4,
        "rope.freq_base_swa": 10000.0,
        "posnet.embedding_length": embd,
        "posnet.block_count": n,
        "convnext.embedding_length": embd,
        "convnext.block_count": n,
        "ssm.inner_size": 2 * embd,
        "ssm.conv_kernel": 4,
        "ssm.state_size": 128,
        "ssm.time_step_rank": heads,
        "ssm.group_count": 2,
        "kda.head_dim": 128,
        "kda.safe_gate": arch != "bailingmoe3",
        "kda.gate_lower_bound": -5.0,
        "wkv.head_size": head,
        "shortconv.l_cache": 3,
        "residual_scale": 3.5,
        "attn_res.block_size": 12,
        "activation.situ_beta": 4.0,
        "activation.situ_linear_beta": 25.0,
    }
    if moe:
        m |= {
            "expert_feed_forward_length": size.ff_expert,
            "expert_shared_feed_forward_length": size.ff_expert // 2,
            "expert_latent_length": size.ff_expert,
            "interleave_moe_layer_step": 2,
            "expert_count": size.experts,
            "expert_used_count": size.used,
            "expert_shared_count": 1,
            "expert_gating_func": 4 if arch == "deepseek4" else 2,
            "expert_group_scale": 1.0,
            "experts_per_group": 1,
            "moe_every_n_layers": 2,
        }
    if arch in MLA and arch not in ("deepseek2-ocr", "plm"):
        glm5 = arch == "glm5-next"
        m |= {
            "attention.key_length": 512 if glm5 else 576,
            "attention.value_length": 512,
            "rope.dimension_count": 0 if glm5 else 64,
            "attention.key_length_mla": 192,
            "attention.value_length_mla": 128,
            "attention.head_count_kv": 1,
        }
    if arch in SWA_ARRAY:
        m["attention.sliding_window_pattern"] = U32s(
            [int(il % 4 != 3) if n > 4 else il % 2 for il in range(n)]
        )
    if arch in PER_LAYER_HEADS:
        # attention in every fourth layer, or in all but the second of a small model
        attends = [il % 4 == 3 if n >= 4 else il != 1 for il in range(n)]
        m["attention.head_count_kv"] = U32s(
            [(1 if arch in MLA else size.heads_kv) if a else 0 for a in attends]
        )
    if arch in SSM_256:
        m |= {
            "ssm.inner_size": 128 * heads,
            "ssm.time_step_rank": heads,
            "ssm.group_count": max(1, heads // 2),
        }
    match arch:
        case "deepseek4":
            m |= {
                "attention.head_count_kv": 1,
                "attention.key_length": head,
                "attention.value_length": head,
                "rope.dimension_count": head // 2,
                "attention.q_lora_rank": 64,
                "attention.output_group_count": 8,
                "attention.output_lora_rank": 32,
                "attention.compress_ratios": U32s([0, 0, *([4, 128] * n)][:n]),
                "attention.compress_rope_freq_base": 160000.0,
                "hyper_connection.count": 4,
                "hyper_connection.sinkhorn_iterations": 2,
                "hyper_connection.epsilon": 1e-6,
                "hash_layer_count": 0,
                "swiglu_clamp_exp": 10.0,
                "expert_weights_scale": 1.0,
                "expert_weights_norm": True,
            }
        case "dots3note":
            m |= {
                "attention.kv_lora_rank_swa": 512,
                "attention.key_length_swa": 576,
                "attention.value_length_swa": 512,
                "attention.key_length_mla_swa": 192,
                "attention.value_length_mla_swa": 128,
                "attention.indexer.types": U32s(
                    [1 - s for s in m["attention.sliding_window_pattern"].items]
                ),
            }
        case "minimax-m3":
            m |= {"rope.dimension_count": 64, "attention.indexer.head_count": size.heads_kv}
        case "gemma4" | "gemma4-assistant":
            m |= {
                "embedding_length_per_layer_input": 64,
                "attention.shared_kv_layers": 0,
                "attention.key_length": 2 * head,
                "attention.value_length": 2 * head,
                "attention.key_length_swa": head,
                "attention.value_length_swa": head,
                "rope.dimension_count": 2 * head,
                "rope.dimension_count_swa": head,
            }
            if arch == "gemma4-assistant":
                m["embedding_length_out"] = 2 * embd
        case "qwen4exp" | "glm5-next":
            ple_heads = 4
            m |= {
                "hyper_connection.count": 4,
                "hyper_connection.sinkhorn_iterations": 2,
                "hyper_connection.epsilon": 1e-6,
                "hyper_connection.low_rank": 8,
                "attention.compress_ratios": U32s([4] * n),
                "ple.layers": U32s([0]),
                "ple.ngram_size": 3,
                "ple.heads_per_ngram": 2,
                "ple.conv_kernel": 4,
                "ple.eos_token_id": 0,
                "embedding_length_per_layer_input": embd // ple_heads,
                "ple.layer_multipliers": U64s([1, 3, 5]),
                "ple.head_offsets": U64s([h * size.vocab for h in range(ple_heads)]),
                "ple.head_vocab_sizes": U64s([size.vocab] * ple_heads),
            }
            if arch == "qwen4exp":
                m["attention.indexer.key_length"] = head
        case "bailingmoe3":
            m |= {
                "rope.dimension_sections": [8, 12, 12, 0],
                "swiglu_clamp_exp": [0.0] + [4.0] * (n - 1),
                "swiglu_clamp_shexp": [0.0] + [5.0] * (n - 1),
            }
            del m["kda.safe_gate"]
        case "hy_v4":
            m |= {
                "hyper_connection.count": 4,
                "hyper_connection.epsilon": 1e-6,
                "hyper_connection.magnitude": 2.0,
                "swiglu_clamp_exp": 10.0,
                "expert_weights_scale": 1.0,
                "expert_weights_norm": True,
                "attention.indexer.types": U32s([1 - il % 2 for il in range(n)]),
            }
        case "hrm_text":
            m |= {"hrm.layers_per_stack": n // 6, "hrm.h_cycles": 2, "hrm.l_cycles": 2}
        case "maple":
            m["swiglu_clamp_exp"] = 7.0
        case "plamo2":
            m["ssm.group_count"] = 0
        case "nemotron_h" | "nemotron_h_moe":
            kinds = ["M", "F", "M", "A", "F", "M", "F", "M"] if n >= 8 else ["A", "M", "F"]
            m |= {
                "feed_forward_length": U32s([size.ff if k == "F" else 0 for k in kinds]),
                "attention.head_count_kv": U32s([size.heads_kv if k == "A" else 0 for k in kinds]),
            }
        case "step35":
            m |= {
                "attention.key_length": head,
                "attention.value_length": head,
                "rope.dimension_count": head,
            }
        case "mamba2":
            m |= {"ssm.time_step_rank": 2 * embd // 64, "ssm.group_count": 1}
        case "falcon-h1":
            m |= {"ssm.time_step_rank": 2 * embd // 64, "ssm.group_count": 1}
        case "mamba":
            m |= {"ssm.state_size": 16, "ssm.time_step_rank": embd // 16}
        case "graniteswitch":
            m |= {
                "adapters.count": 2,
                "adapters.lora_rank": 16,
                "adapters.token_ids_activate": [5, 6],
                "adapters.token_ids_substitute": [7, 8],
            }
        case "rwkv6qwen2" | "arwkv7":
            m["token_shift_count"] = 1
        case "plm":
            m |= {
                "attention.key_length": 192,
                "attention.value_length": 128,
                "rope.dimension_count": 64,
            }
        case "modern-bert":
            m["attention.sliding_window_pattern"] = 3
        case "eagle3" | "dflash":
            m |= {"target_layers": [1, 3, 5], "target_hidden_size": embd, "block_size": 16}
        case "gemma3n":
            m["attention.sliding_window_pattern"] = 5
        case _:
            pass
    if arch in (
        "bert",
        "nomic-bert",
        "nomic-bert-moe",
        "neo-bert",
        "jina-bert-v2",
        "jina-bert-v3",
        "modern-bert",
        "eurobert",
        "t5encoder",
    ):
        m |= {"pooling_type": 1, "attention.causal": False}
    if arch == "gemma-embedding":
        m |= {
            "pooling_type": 1,
            "attention.causal": False,
            "dense_2_feat_in": embd,
            "dense_2_feat_out": 4 * embd,
            "dense_3_feat_in": 4 * embd,
            "dense_3_feat_out": embd,
        }
    xielu: Meta = {"xielu.alpha_n": 1.0, "xielu.alpha_p": 1.0, "xielu.beta": 1.0, "xielu.eps": 1e-7}
    return {
        "general.architecture": arch,
        **{f"{arch}.{key}": value for key, value in m.items()},
        **xielu,
        "tokenizer.ggml.model": "test",
        "tokenizer.ggml.tokens": [f"tok_{i}" for i in range(size.vocab)],
        "tokenizer.ggml.scores": [0.0] * size.vocab,
        "tokenizer.ggml.token_type_count": 2,
    }
