"""plamo: attention and feed-forward network side by side (src/models/plamo.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu


def graph(g: Context) -> None:
    """`llama_model_plamo::graph`."""
    h = g.h
    before = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        normed = g.build_norm(before, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, normed, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        attn = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        if il == g.n_layer - 1:
            attn, normed, before = (g.get_rows(t, out_ids) for t in (attn, normed, before))
        before = g.add(g.add(silu(g, w, normed, il), attn), before)
    output(g, before)
