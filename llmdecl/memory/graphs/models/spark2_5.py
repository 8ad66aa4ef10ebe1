"""spark2_5 (src/models/spark2-5.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, output, rms, silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(1)


def graph(g: Context) -> None:
    """`llama_model_spark2_5::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        head, heads, heads_kv, n = h.head_v_full, h.n_head(il), h.n_head_kv(il), g.n_tokens
        residual = cur
        cur = normed = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, head, heads, heads_kv, il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        gate = g.sigmoid(g.build_lora_mm(w.attn_gate, normed))
        cur = g.mul(g.reshape(cur, head, heads, n), g.reshape(gate, 1, heads, n))
        cur = g.reshape(cur, head * heads, n)
        cur = g.build_lora_mm(w.attn_output, cur, w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        cur = g.add(silu(g, w, cur, il, op="GELU"), ffn_inp)
    output(g, cur, head_s=False)
