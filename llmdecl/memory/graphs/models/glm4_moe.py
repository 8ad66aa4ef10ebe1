"""glm4moe: GLM 4.5 (src/models/glm4-moe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import wanted
from llmdecl.memory.graphs.models.routed import experts_or_dense, gating


def graph(g: Context) -> None:
    """`llama_model_glm4_moe::graph`."""
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
        if w.attn_q_norm is not None:
            q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il)
        if w.attn_k_norm is not None:
            k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        cur = experts_or_dense(g, w, cur, il, how=gating(h, "SIGMOID"))
        cur = g.add(cur, ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = g.t_embd = cur
    g.t_logits = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.expand(g.t_logits)
