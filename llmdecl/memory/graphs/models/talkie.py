"""talkie (src/models/talkie.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import rms, wanted


def graph(g: Context) -> None:
    """`llama_model_talkie::graph`: norms without weights, and the embedding in every block."""
    h = g.h
    cur = embedding = rms(g, g.build_inp_embd(), None, -1)
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual, skip = cur, embedding
        cur = rms(g, cur, None, il)
        q, k, v = g.build_qkv(w, cur, h.head_k(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, None, il)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if il == g.n_layer - 1:
            skip = g.get_rows(skip, out_ids)
        ffn_inp = g.add(cur, residual)
        cur = g.build_ffn(
            rms(g, ffn_inp, None, il), w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None,
            "SILU", il, down_s=w.ffn_down_s,
        )  # fmt: skip
        cur = g.add(g.add(cur, ffn_inp), g.mul(skip, w.layer_output_scale))
    cur = rms(g, cur, None, -1)
    g.t_embd = cur
    g.t_logits = g.scale(g.build_lora_mm(g.output(), cur))
    g.expand(g.t_logits)
