"""afmoe (src/models/afmoe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import (
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
        h.window(4)
    h.no_rope(4)


def graph(g: Context) -> None:
    """`llama_model_afmoe::graph`."""
    h = g.h
    cur = g.scale(g.build_inp_embd())
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        gate = g.build_lora_mm(w.attn_gate, cur)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, w.attn_k_norm, il)
        if h.marks[il]:
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        cur = g.build_lora_mm(w.attn_output, g.mul(cur, g.sigmoid(gate)), w.attn_output_s)
        cur = rms(g, cur, w.post_attention_norm, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        if il >= h.n_layer_dense_lead:
            normed = cur
            norm_w = h.flag("expert_weights_norm")
            cur = moe(g, w, normed, il, norm_w=norm_w, gate=gating(h), bias=True)
            if h.n_expert_shared > 0:
                cur = g.add(cur, shared_expert(g, w, normed, il, scaled=False))
        else:
            cur = silu(g, w, cur, il)
        cur = g.add(rms(g, cur, w.post_ffw_norm, il), ffn_inp)
    output(g, cur)
