"""mistral3 (src/models/mistral3.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import full_ffn, output, wanted


def graph(g: Context) -> None:
    """`llama_model_mistral3::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    scaled = h.real("attention.temperature_scale") != 0
    scale = g.build_inp_attn_scale() if scaled else None
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        if scale is not None:
            q = g.mul(q, scale)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = full_ffn(g, w, cur, il)
        else:
            cur = g.build_moe_ffn(
                cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
                w_scale=h.real("expert_weights_scale"),
                up_exps_s=w.ffn_up_exps_s, gate_exps_s=w.ffn_gate_exps_s,
                down_exps_s=w.ffn_down_exps_s,
            )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    output(g, cur)
