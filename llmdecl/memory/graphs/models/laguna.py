"""laguna (src/models/laguna.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import (
    begin,
    gating,
    moe,
    output,
    rms,
    shared_expert,
    silu,
    wanted,
)


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    if h.number("attention.sliding_window") > 0:
        h.window(4, dense_first=True)


def graph(g: Context) -> None:
    """`llama_model_laguna::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        heads, heads_kv, head = h.n_head(il), h.n_head_kv(il), h.head_v_full
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, head, heads, heads_kv, il)
        gate = g.build_lora_mm(w.attn_gate, cur)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, w.attn_k_norm, il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        gate = g.softplus(gate)
        if w.attn_gate.ne[1] == heads:
            cur = g.mul(
                g.reshape(cur, head, heads, g.n_tokens), g.reshape(gate, 1, heads, g.n_tokens)
            )
            cur = g.reshape(cur, head * heads, g.n_tokens)
        else:
            cur = g.mul(cur, gate)
        cur = g.build_lora_mm(w.attn_output, cur, w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        if il >= h.n_layer_dense_lead:
            norm_w = h.flag("expert_weights_norm")
            moe_out = moe(g, w, cur, il, norm_w=norm_w, gate=gating(h), bias=True)
            cur = g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))
        else:
            cur = silu(g, w, cur, il)
        cur = g.add(cur, ffn_inp)
    output(g, cur, head_s=False)
