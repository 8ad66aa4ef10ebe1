"""pockettts (src/models/pockettts.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import begin, output, wanted


def graph(g: Context) -> None:
    """`llama_model_pockettts::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, w.attn_norm_b, "LLM_NORM", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, w.ffn_norm_b, "LLM_NORM", il)
        cur = g.build_ffn(
            cur, w.ffn_up, None, None, None, w.ffn_down, None, "GELU", il, parallel=False
        )
        cur = g.add(cur, ffn_inp)
    output(g, cur, kind="LLM_NORM")
