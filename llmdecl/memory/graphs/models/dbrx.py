"""dbrx (src/models/dbrx.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import begin, moe, wanted


def graph(g: Context) -> None:
    """`llama_model_dbrx::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.attn_output_norm, None, "LLM_NORM", il)
        cur = g.add(moe(g, w, cur, il, norm_w=True), ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM", -1)
    g.t_embd = cur
    g.t_logits = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.expand(g.t_logits)
