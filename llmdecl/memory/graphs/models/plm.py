"""plm (src/models/plm.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.decoder import simple_ffn
from llmdecl.memory.graphs.models.minicpm3 import expanded_attention


def graph(g: Context) -> None:
    """`llama_model_plm::graph`."""
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = expanded_attention(g, w, inp_attn, cur, inp_pos, None, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(simple_ffn(g, w, cur, il, op="RELU_SQR"), ffn_inp)
    output(g, cur)
