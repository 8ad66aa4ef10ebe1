"""mamba and mamba2 (src/models/mamba.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.mamba_base import mamba2_layer, mamba_layer


def graph(g: Context) -> None:
    """`llama_model_mamba::graph`."""
    cur = g.build_inp_embd()
    inp = g.build_rs_inp()
    out_ids = g.build_inp_out_ids()
    layer = mamba2_layer if g.arch == "mamba2" else mamba_layer
    for il in g.keep:
        residual = cur
        cur = g.build_norm(cur, g.layer(il).attn_norm, None, "LLM_NORM_RMS", il)
        cur = layer(g, inp, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = g.add(cur, residual)
    output(g, cur)
