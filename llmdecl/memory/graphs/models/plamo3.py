"""plamo3 (src/models/plamo3.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.plamo2 import attention_of_views, post_norms


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    if h.number("attention.sliding_window") > 0:
        h.window(8)


def graph(g: Context) -> None:
    """`llama_model_plamo3::graph`."""
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        residual = cur
        cur = g.build_norm(cur, g.layer(il).attn_norm, None, "LLM_NORM_RMS", il)
        cur = attention_of_views(g, inp_attn, inp_pos, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = post_norms(g, cur, residual, il)
    output(g, cur)
