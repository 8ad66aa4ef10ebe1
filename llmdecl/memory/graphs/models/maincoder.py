"""maincoder (src/models/maincoder.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import begin, output, rms, silu, wanted


def graph(g: Context) -> None:
    """`llama_model_maincoder::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, w.attn_k_norm, il)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        cur = g.add(silu(g, w, cur, il), ffn_inp)
    output(g, cur)
