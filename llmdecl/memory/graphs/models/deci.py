"""deci: Nemotron made of Llama by leaving out (src/models/deci.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import begin, output, rms, wanted


def graph(g: Context) -> None:
    """`llama_model_deci::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        heads, heads_kv = h.n_head(il), h.n_head_kv(il)
        block = residual
        if heads:
            cur = rms(g, cur, w.attn_norm, il)
        if heads and not heads_kv:
            cur = g.build_lora_mm(w.attn_output, cur)
        elif heads:
            factors = g.rope_factors(il)
            q, k, v = g.build_qkv(w, cur, h.head_v(), heads, heads_kv, il)
            q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
            cur = g.build_attn(
                inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
            )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if not h.n_ff(il):
            cur = block
            continue
        ffn_inp = g.add(cur, residual) if heads else cur
        cur = ffn_inp
        if w.ffn_gate_inp is None:
            cur = rms(g, ffn_inp, w.ffn_norm, il)
            cur = g.build_ffn(
                cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
                "SILU", il,
            )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    output(g, cur)
