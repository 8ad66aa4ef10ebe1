"""gptneox (src/models/gptneox.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.decoder import NORM, decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_gptneox::graph`: both networks side by side, if the header says so."""
    if not g.h.flag("use_parallel_residual"):
        decoder(g, simple_ffn, kind=NORM, wo_b=True)
        return
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, w.attn_norm_b, NORM, il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w.attn_output_s
        )
        attn_out, residual = wanted(g, il, out_ids, cur, residual)
        cur = g.build_norm(residual, w.ffn_norm, w.ffn_norm_b, NORM, il)
        cur = g.add(g.add(simple_ffn(g, w, cur, il), residual), attn_out)
    output(g, cur, kind=NORM)
