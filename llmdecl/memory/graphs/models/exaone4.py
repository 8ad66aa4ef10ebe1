"""exaone4 (src/models/exaone4.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output, silu, wanted
from llmdecl.memory.graphs.models.decoder import normed

WINDOWED_LAYERS = 64


def hparams(h: HParams) -> None:
    """Only the 32B model slides a window."""
    if h.n_layer == WINDOWED_LAYERS:
        h.window(4, size=h.number("attention.sliding_window", 4096))


def graph(g: Context) -> None:
    """`llama_model_exaone4::graph`: norms after attention and feed-forward network."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_k(), h.n_head(), h.n_head_kv(), il)
        q, k = normed(g, w, q, k, il)
        if h.is_swa[il] or not h.swa_type:
            q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = g.build_norm(cur, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        ffn_inp = g.add(cur, residual)
        cur = silu(g, w, ffn_inp, il)
        cur = g.build_norm(cur, w.post_ffw_norm, None, "LLM_NORM_RMS", -1)
        cur = g.add(cur, ffn_inp)
    output(g, cur)
