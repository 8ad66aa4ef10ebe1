"""arctic (src/models/arctic.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu, wanted
from llmdecl.memory.graphs.models.routed import experts


def graph(g: Context) -> None:
    """`llama_model_arctic::graph`: experts read what attention reads."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        ffn_out = g.add(silu(g, w, cur, il), ffn_inp)
        cur = g.build_norm(residual, w.ffn_norm_exps, None, "LLM_NORM_RMS", il)
        cur = g.add(experts(g, w, cur, il, norm_w=True), ffn_out)
    output(g, cur)
