"""Where llama.cpp puts a tensor and what it does with it, by the tensor's name.

From `LLM_TENSOR_NAMES` and `LLM_TENSOR_INFOS` (src/llama-arch.cpp): data, not rules.
"""

from collections.abc import Mapping

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "ADD": (
        "exp_probs_b", "exp_probs_b_vl", "hc_attn_base", "hc_ffn_base", "hrm.z_l_init",
        "indexer_compressor_ape", "output_hc_base", "time_mix_a0", "time_mix_decay",
        "time_mix_lerp_fused", "time_mix_lerp_g", "time_mix_lerp_k", "time_mix_lerp_r",
        "time_mix_lerp_v", "time_mix_lerp_w", "time_mix_v0", "time_mix_w0",
    ),
    "DIV": (
        "ffn.act",
    ),
    "GET_ROWS": (
        "attn_compressor_ape", "attn_rel_b", "d2t", "ffn_gate_tid2eid", "markov_w1",
        "nextn.embed_tokens", "per_layer_token_embd", "position_embd", "selector_predecessor",
        "selector_successor", "token_embd", "token_types",
    ),
    "IM2COL": (
        "conv1d", "convnext.%d.dw", "posnet.%d.conv1", "posnet.%d.conv2",
    ),
    "MUL_MAT": (
        "altup_correct_coef", "altup_predict_coef", "altup_proj", "altup_router",
        "altup_unembd_proj", "attn_compressor_gate", "attn_compressor_kv", "attn_conv_proj",
        "attn_gate", "attn_k", "attn_k_b", "attn_kv", "attn_kv_a_mqa", "attn_kv_b", "attn_o",
        "attn_output", "attn_output_a", "attn_output_b", "attn_q", "attn_q_a", "attn_q_b",
        "attn_qkv", "attn_v", "attn_v_b", "channel_mix_key", "channel_mix_receptance",
        "channel_mix_value", "cls", "cls.output", "conf_proj", "convnext.%d.pw1",
        "convnext.%d.pw2", "cross_attn_k", "cross_attn_o", "cross_attn_q", "cross_attn_v",
        "dense_2", "dense_3", "fc", "ffn_conv_proj", "ffn_down", "ffn_down_shexp", "ffn_gate",
        "ffn_gate_inp", "ffn_gate_inp_shexp", "ffn_gate_shexp", "ffn_latent_down",
        "ffn_latent_up", "ffn_routed_down", "ffn_routed_up", "ffn_up", "ffn_up_shexp",
        "hc_attn_down", "hc_attn_fn", "hc_attn_inject", "hc_attn_up", "hc_ffn_down", "hc_ffn_fn",
        "hc_ffn_inject", "hc_ffn_up", "indexer.attn_k", "indexer.attn_q_b", "indexer.k_proj",
        "indexer.proj", "indexer.q_proj", "indexer_compressor_gate", "indexer_compressor_kv",
        "inp_gate", "laurel_l", "laurel_r", "markov_w2", "nextn.eh_proj",
        "nextn.post_projection", "nextn.pre_projection", "nextn.shared_head_head", "output",
        "output_hc_down", "output_hc_fn", "output_hc_up", "per_layer_model_proj", "ple_key",
        "ple_value", "posnet.%d.attn_k", "posnet.%d.attn_output", "posnet.%d.attn_q",
        "posnet.%d.attn_v", "proj", "selector_hidden", "shortconv.in_proj", "shortconv.out_proj",
        "ssm_alpha", "ssm_ba", "ssm_beta", "ssm_dt", "ssm_f_a", "ssm_f_b", "ssm_g", "ssm_g_a",
        "ssm_g_b", "ssm_in", "ssm_out", "ssm_x", "time_mix_a1", "time_mix_a2",
        "time_mix_decay_w1", "time_mix_decay_w2", "time_mix_g1", "time_mix_g2", "time_mix_gate",
        "time_mix_key", "time_mix_output", "time_mix_receptance", "time_mix_v1", "time_mix_v2",
        "time_mix_value", "time_mix_w1", "time_mix_w2", "vis_attn_output", "vis_attn_qkv",
        "vis_down", "vis_gate", "vis_up",
    ),
    "MUL_MAT_ID": (
        "ffn_down_chexps", "ffn_down_exps", "ffn_gate_chexps", "ffn_gate_exps",
        "ffn_gate_up_exps", "ffn_up_chexps", "ffn_up_exps",
    ),
    "NONE": (
        "cross_attn_rel_b", "masked_embd_centroids", "masked_embd_ordering",
    ),
    "ROPE": (
        "rope_factors_long", "rope_factors_short", "rope_freqs",
    ),
    "RWKV_WKV6": (
        "time_mix_first",
    ),
    "SCALE": (
        "attn_sinks",
    ),
    "SSM_CONV": (
        "ple_conv1d", "shortconv.conv", "ssm_conv1d",
    ),
    "SSM_SCAN": (
        "ssm_a",
    ),
}  # fmt: skip
"""The operation that a `.weight` takes part in, names without block and suffix; others: `MUL`."""

INPUT: frozenset[str] = frozenset(
    {
        "masked_embd_centroids", "masked_embd_ordering", "per_layer_token_embd", "position_embd",
        "token_embd", "token_embd_norm", "token_types",
    }
)  # fmt: skip
"""Read by row on the CPU, before the blocks."""

OUTPUT: frozenset[str] = frozenset(
    {
        "altup_proj", "altup_unembd_proj", "cls", "cls.norm", "cls.output", "conf_proj", "d2t",
        "dec.output_norm", "dense_2", "dense_3", "enc.output_norm", "fc", "markov_w1",
        "markov_w2", "nextn.post_projection", "output", "output_hc_base", "output_hc_down",
        "output_hc_fn", "output_hc_norm", "output_hc_scale", "output_hc_up", "output_norm",
        "output_res_score", "selector_hidden", "selector_predecessor", "selector_successor",
    }
)  # fmt: skip
"""With the output matrix, after the blocks."""

OPERATION_OF: Mapping[str, str] = {
    name: operation for operation, names in OPERATIONS.items() for name in names
}
