"""hy_v3 (src/models/hy-v3.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import full_ffn, shared_expert
from llmdecl.memory.graphs.models.decoder import normed
from llmdecl.memory.graphs.models.qwen3next import finish
from llmdecl.memory.graphs.models.routed import gating, scaled_experts


def graph(g: Context) -> None:
    """`llama_model_hy_v3::graph`: wanted rows are picked after the last norm."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = normed(g, w, q, k, il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w.attn_output_s
        )
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = full_ffn(g, w, cur, il)
        else:
            moe_out = scaled_experts(g, w, cur, il, how=gating(h, "SIGMOID"))
            cur = g.add(moe_out, shared_expert(g, w, cur, il))
        cur = g.add(cur, ffn_inp)
    finish(g, cur, out_ids)
