"""falcon (src/models/falcon.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output
from llmdecl.memory.graphs.models.decoder import NORM


def graph(g: Context) -> None:
    """`llama_model_falcon::graph`: both networks side by side."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = attn_norm = g.build_norm(residual, w.attn_norm, w.attn_norm_b, NORM, il)
        if w.attn_norm_2 is not None:
            cur = g.build_norm(residual, w.attn_norm_2, w.attn_norm_2_b, NORM, il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        if il == g.n_layer - 1:
            cur, residual = g.get_rows(cur, out_ids), g.get_rows(residual, out_ids)
            attn_norm = g.get_rows(attn_norm, out_ids)
        ffn_inp = cur
        cur = g.build_ffn(
            attn_norm, w.ffn_up, None, None, None, w.ffn_down, None, "GELU", il, parallel=False
        )
        cur = g.add(g.add(cur, ffn_inp), residual)
    output(g, cur, kind=NORM)
