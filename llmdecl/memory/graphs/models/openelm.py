"""openelm (src/models/openelm.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu, wanted


def graph(g: Context) -> None:
    """`llama_model_openelm::graph`: the number of heads differs by block."""
    h, n = g.h, g.n_tokens
    head = h.head_v()
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        heads, heads_kv = h.n_head(il), h.n_head_kv(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = g.build_lora_mm(w.attn_qkv, cur)
        cur = g.reshape(cur, h.head_k(), 2 * heads_kv + heads, n)
        q = g.view_3d(cur, head, heads, n, *cur.nb[1:3])
        k = g.view_3d(cur, head, heads_kv, n, *cur.nb[1:3])
        v = g.view_3d(cur, head, heads_kv, n, *cur.nb[1:3])
        q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
        k = g.rope(g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il), inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(residual, cur)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(silu(g, w, cur, il), ffn_inp)
    output(g, cur)
