"""minimax-m2 (src/models/minimax-m2.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.routed import experts, gating


def graph(g: Context) -> None:
    """`llama_model_minimax_m2::graph`: norms over all heads at once."""
    h, n = g.h, g.n_tokens
    head, heads, heads_kv = h.head_v(), h.n_head(), h.n_head_kv()
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, head, heads, heads_kv, il, reshape=False)
        q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il)
        k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il)
        q = g.rope(g.reshape(q, head, heads, n), inp_pos)
        k = g.rope(g.reshape(k, head, heads_kv, n), inp_pos)
        v = g.reshape(v, head, heads_kv, n)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(experts(g, w, cur, il, norm_w=True, how=gating(h), biased=True), ffn_inp)
    output(g, cur)
