"""deepseek: DeepSeek MoE (src/models/deepseek.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.routed import experts_or_dense


def graph(g: Context) -> None:
    """`llama_model_deepseek::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = experts_or_dense(g, w, cur, il, norm_w=False, biased=False)
        cur = g.add(cur, ffn_inp)
    output(g, cur)
