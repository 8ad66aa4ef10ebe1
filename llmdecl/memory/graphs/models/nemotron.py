"""nemotron (src/models/nemotron.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted


def graph(g: Context) -> None:
    """`llama_model_nemotron::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, w.attn_norm_b, "LLM_NORM", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, w.ffn_norm_b, "LLM_NORM", il)
        cur = g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, None, None, w.ffn_down, w.ffn_down_b, "RELU_SQR", il,
            parallel=False,
        )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    output(g, cur, kind="LLM_NORM")
