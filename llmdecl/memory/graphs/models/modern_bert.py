"""modern-bert, neo-bert and eurobert (src/models/modern-bert.cpp, neo-bert.cpp, eurobert.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams` of modern-bert: most blocks see a window."""
    if h.number("attention.sliding_window") > 0:
        h.window(3, dense_first=True)


def graph(g: Context) -> None:
    """Norms before attention and feed-forward network, and one at the end."""
    h = g.h
    modern = g.arch == "modern-bert"
    kind = "LLM_NORM" if modern else "LLM_NORM_RMS"
    inp_pos = g.build_inp_pos()
    cur = g.build_inp_embd()
    if modern:
        cur = g.build_norm(cur, g.weight("token_embd_norm.weight"), None, kind, 0)
    inp_attn = g.build_attn_inp_no_cache()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        if w.attn_norm is not None:
            cur = g.build_norm(cur, w.attn_norm, None, kind, il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, kind, il)
        cur = g.add(_feed_forward(g, cur, il), ffn_inp)
    last = "enc.output_norm.weight" if g.arch == "neo-bert" else "output_norm.weight"
    cur = g.build_norm(cur, g.weight(last), None, kind, -1)
    g.t_embd = cur
    g.expand(cur)


def _feed_forward(g: Context, cur: Tensor, il: int) -> Tensor:
    w = g.layer(il)
    if g.arch == "eurobert":
        return silu(g, w, cur, il)
    return g.build_ffn(
        cur, w.ffn_up, None, None, None, w.ffn_down, None, "SWIGLU", il, parallel=False
    )
