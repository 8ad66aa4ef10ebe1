"""stablelm (src/models/stablelm.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu
from llmdecl.memory.graphs.models.decoder import NORM


def graph(g: Context) -> None:
    """`llama_model_stablelm::graph`: some files have both networks side by side."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        before = cur
        cur = residual = g.build_norm(cur, w.attn_norm, w.attn_norm_b, NORM, il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        if w.attn_q_norm is not None:
            q = g.build_norm(q, w.attn_q_norm, None, NORM, il)
        if w.attn_k_norm is not None:
            k = g.build_norm(k, w.attn_k_norm, None, NORM, il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        if il == g.n_layer - 1:
            cur, before = g.get_rows(cur, out_ids), g.get_rows(before, out_ids)
            residual = g.get_rows(residual, out_ids)
        ffn_inp = g.add(cur, before)
        if w.ffn_norm is not None:
            cur = g.build_norm(ffn_inp, w.ffn_norm, w.ffn_norm_b, NORM, il)
        else:
            cur = residual
        cur = g.add(silu(g, w, cur, il), ffn_inp)
    output(g, cur, kind=NORM)
