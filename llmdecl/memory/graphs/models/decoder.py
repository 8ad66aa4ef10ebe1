"""The decoder that most models are: what they differ in is said by its arguments."""

from collections.abc import Callable

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import output, silu, wanted

FeedForward = Callable[[Context, Layer, Tensor, int], Tensor]

RMS, NORM = "LLM_NORM_RMS", "LLM_NORM"


def decoder(
    g: Context,
    ffn: FeedForward = silu,
    *,
    kind: str = RMS,
    rope: Callable[[int], bool] | bool = True,
    factors: bool = False,
    qk_norm: str = "",
    qk_kind: str = RMS,
    head: int = 0,
    wo_b: bool = False,
    cached: bool = True,
    start: Tensor | None = None,
    bias: str = "",
) -> None:
    """Norm, attention, sum, norm, `ffn`, sum; then the output.

    `rope`: whether a block rotates positions; `factors`: by the file's frequency factors.
    `qk_norm`: queries and keys are normed, where the file has weights, `before` or `after` that.
    `start`: the first block's input, if that is not the embedding; `bias` of the output, by name.
    """
    h = g.h
    cur = g.build_inp_embd() if start is None else start
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv() if cached else g.build_attn_inp_no_cache()
    out_ids = g.build_inp_out_ids()
    biased = kind == NORM
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, w("attn_norm.bias") if biased else None, kind, il)
        q, k, v = g.build_qkv(w, cur, head or h.head_v(), h.n_head(), h.n_head_kv(), il)
        if qk_norm == "before":
            q, k = normed(g, w, q, k, il, qk_kind)
        if rope if isinstance(rope, bool) else rope(il):
            scaled = g.rope_factors(il) if factors else None
            q, k = g.rope(q, inp_pos, scaled), g.rope(k, inp_pos, scaled)
        if qk_norm == "after":
            q, k = normed(g, w, q, k, il, qk_kind)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias") if wo_b else None, q, k, v, il,
            wo_s=w.attn_output_s,
        )  # fmt: skip
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, w("ffn_norm.bias") if biased else None, kind, il)
        cur = g.add(ffn(g, w, cur, il), ffn_inp)
    output(g, cur, kind=kind, bias=bias)


def normed(
    g: Context, w: Layer, q: Tensor, k: Tensor, il: int, kind: str = RMS
) -> tuple[Tensor, Tensor]:
    """Queries and keys after their norms, where the file has weights for these."""
    biased = kind == NORM
    if w.attn_q_norm is not None:
        q = g.build_norm(q, w.attn_q_norm, w("attn_q_norm.bias") if biased else None, kind, il)
    if w.attn_k_norm is not None:
        k = g.build_norm(k, w.attn_k_norm, w("attn_k_norm.bias") if biased else None, kind, il)
    return q, k


def positioned(g: Context) -> Tensor:
    """Embeddings with learnt embeddings of positions added."""
    cur = g.build_inp_embd()
    return g.add(cur, g.get_rows(g.weight("position_embd.weight"), g.build_inp_pos()))


def simple_ffn(
    g: Context, w: Layer, cur: Tensor, il: int, *, op: str = "GELU", scales: str = ""
) -> Tensor:
    """Up, an activation, down; with biases where the file has some."""
    return g.build_ffn(
        cur, w.ffn_up, w("ffn_up.bias"), None, None, w.ffn_down, w("ffn_down.bias"), op, il,
        parallel=False, act_scales=w(scales) if scales else None,
    )  # fmt: skip
