"""mpt (src/models/mpt.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.decoder import NORM, positioned, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_mpt::graph`: norms over all heads at once."""
    h, n = g.h, g.n_tokens
    head, heads, heads_kv = h.head_v(), h.n_head(), h.n_head_kv()
    has_positions = g.weight("position_embd.weight") is not None
    cur = positioned(g) if has_positions else g.build_inp_embd()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, w.attn_norm_b, NORM, il)
        q, k, v = g.build_qkv(w, cur, head, heads, heads_kv, il)
        if w.attn_q_norm is not None:
            q, k = g.reshape(q, head * heads, n), g.reshape(k, head * heads_kv, n)
            q = g.build_norm(q, w.attn_q_norm, w.attn_q_norm_b, NORM, il)
            k = g.build_norm(k, w.attn_k_norm, w.attn_k_norm_b, NORM, il)
            q, k = g.reshape(q, head, heads, n), g.reshape(k, head, heads_kv, n)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, w.ffn_norm_b, NORM, il)
        cur = g.add(_ffn(g, w, cur, il), ffn_inp)
    output(g, cur, kind=NORM)


_ffn = partial(simple_ffn, scales="ffn.act.scales")
