"""phi3 and phimoe (src/models/phi3.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import wanted


def graph(g: Context) -> None:
    """`llama_model_phi3::graph`; windows are turned off."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        factors = g.rope_factors(il)
        cur = g.build_norm(cur, w.attn_norm, w.attn_norm_b, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, g.scale(q), k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        residual = g.add(cur, residual)
        cur = g.build_norm(residual, w.ffn_norm, w.ffn_norm_b, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = g.build_ffn(
                cur, w.ffn_up, None, None, None, w.ffn_down, None, "SWIGLU", il, parallel=False
            )
        else:
            cur = g.build_moe_ffn(
                cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
                w_scale=h.real("expert_weights_scale"),
            )  # fmt: skip
        cur = g.add(residual, cur)
    cur = g.build_norm(
        cur, g.weight("output_norm.weight"), g.weight("output_norm.bias"), "LLM_NORM_RMS", -1
    )
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    if (bias := g.weight("output.bias")) is not None:
        cur = g.add(cur, bias)
    g.t_logits = cur
    g.expand(cur)
