"""cogvlm (src/models/cogvlm.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu


def graph(g: Context) -> None:
    """`llama_model_cogvlm::graph` of text: logits of every token."""
    h, n = g.h, g.n_tokens
    head = h.head_v()
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        qkv = g.build_lora_mm(w.attn_qkv, cur)
        q = g.view_3d(qkv, head, h.n_head(), n, head * 4, qkv.nb[1])
        k = g.view_3d(qkv, head, h.n_head_kv(), n, head * 4, qkv.nb[1])
        v = g.view_3d(qkv, head, h.n_head_kv(), n, head * 4, qkv.nb[1])
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(silu(g, w, cur, il), ffn_inp)
    output(g, cur)
