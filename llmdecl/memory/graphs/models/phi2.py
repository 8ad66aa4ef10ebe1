"""phi2: attention and feed-forward network side by side (src/models/phi2.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output


def graph(g: Context) -> None:
    """`llama_model_phi2::graph`."""
    h = g.h
    before = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        normed = g.build_norm(before, w.attn_norm, w.attn_norm_b, "LLM_NORM", il)
        q, k, v = g.build_qkv(w, normed, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, g.scale(q), k, v, il, wo_s=w.attn_output_s
        )
        if il == g.n_layer - 1:
            cur, before, normed = (g.get_rows(t, out_ids) for t in (cur, before, normed))
        fed = g.build_ffn(
            normed, w.ffn_up, w.ffn_up_b, None, None, w.ffn_down, w.ffn_down_b, "GELU", il,
            parallel=False,
        )  # fmt: skip
        before = g.add(g.add(cur, fed), before)
    output(g, before, kind="LLM_NORM", bias="output.bias")
