"""hy_v4 (src/models/hy-v4.cpp)."""

from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.caches import Memory, attention
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.deepseek32 import latent_qkv
from llmdecl.memory.graphs.models.indexer import (
    SparseInput,
    build_sparse_attn,
    build_sparse_input,
    build_top_k,
    indexed_memory,
    indexer_types,
)
from llmdecl.memory.graphs.models.routed import clamped_experts_or_dense, clamps, gating
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.marks = [(limited, False) for limited in clamps(h, "swiglu_clamp_exp")]


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_dsa`, or a plain cache without an indexer."""
    if not h.number("attention.indexer.top_k"):
        return attention(h, run, site)
    full = indexer_types(h)
    return indexed_memory(h, run, site, lambda il: full[il])


def graph(g: Context) -> None:
    """`llama_model_hy_v4::graph`: several residual streams."""
    h, n = g.h, g.n_tokens
    hc = h.number("hyper_connection.count")
    sparse = h.number("attention.indexer.top_k") > 0
    full = indexer_types(h)
    inp = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    attn = build_sparse_input(g) if sparse else g.build_attn_inp_k()
    out_ids = g.build_inp_out_ids()
    top_k: Tensor | None = None
    streams = g.repeat_4d(g.reshape(inp, h.n_embd, 1, n), h.n_embd, hc, n, 1)
    for il in g.keep:
        w = g.layer(il)
        residual = streams
        cur, post = _hc_pre(g, streams, w("hc_attn_fn.weight"), w, "attn")
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur, top_k = _attention(g, w, attn, cur, inp_pos, top_k, full=full[il], il=il)
        residual = streams = _hc_post(g, cur, residual, post)
        cur, post = _hc_pre(g, streams, w("hc_ffn_fn.weight"), w, "ffn")
        cur = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = clamped_experts_or_dense(g, w, cur, il, how=gating(h))
        streams = _hc_post(g, cur, residual, post)
    flat = g.get_rows(g.reshape(streams, h.n_embd * hc, n), out_ids)
    streams = g.reshape(flat, h.n_embd, hc, g.n_outputs)
    flat = g.rms_norm(g.reshape(streams, hc * h.n_embd, g.n_outputs))
    pre = g.mul(
        g.mul_mat(g.weight("output_hc_fn.weight"), flat), g.weight("output_hc_scale.weight")
    )
    pre = g.scale_bias(g.sigmoid(g.add(pre, g.weight("output_hc_base.weight"))))
    cur = _reduce(g, streams, pre)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def _reduce(g: Context, x: Tensor, weights: Tensor) -> Tensor:
    """`hy_v4_hc_reduce`."""
    nt = x.ne[2]
    x = g.cast(x, F32)
    result: Tensor | None = None
    for _ in range(x.ne[1]):
        xh = g.view_2d(x, x.ne[0], nt, x.nb[2])
        cur = g.mul(xh, g.view_2d(weights, 1, nt, weights.nb[1]))
        result = cur if result is None else g.add(result, cur)
    assert result is not None
    return g.cast(result, F32)


def _hc_pre(g: Context, x: Tensor, fn: Tensor, w: Layer, part: str) -> tuple[Tensor, Tensor]:
    """`build_hc_pre`: one row of all streams, and how it returns to these."""
    hc, nt = x.ne[1], x.ne[2]
    scale, base = w(f"hc_{part}_scale.weight"), w(f"hc_{part}_base.weight")
    mixes = g.mul_mat(fn, g.rms_norm(g.reshape(x, hc * g.h.n_embd, nt)))
    pre = g.mul(g.view_2d(mixes, hc, nt, mixes.nb[1]), g.view_1d(scale, 1))
    pre = g.scale_bias(g.sigmoid(g.add(pre, g.view_1d(base, hc))))
    post = g.mul(g.view_2d(mixes, hc, nt, mixes.nb[1]), g.view_1d(scale, 1))
    post = g.scale_bias(g.scale(g.sigmoid(g.add(post, g.view_1d(base, hc)))))
    return _reduce(g, x, pre), post


def _hc_post(g: Context, x: Tensor, residual: Tensor, post: Tensor) -> Tensor:
    """`build_hc_post`."""
    nt, n_embd = x.ne[1], g.h.n_embd
    x, post, residual = g.cast(x, F32), g.cast(post, F32), g.cast(residual, F32)
    out: Tensor | None = None
    for _ in range(residual.ne[1]):
        res = g.view_2d(residual, n_embd, nt, residual.nb[2])
        cur = g.add(res, g.mul(x, g.view_2d(post, 1, nt, post.nb[1])))
        cur = g.reshape(cur, n_embd, 1, nt)
        out = cur if out is None else g.concat(out, cur, 1)
    assert out is not None
    return g.cast(out, F32)


def _attention(
    g: Context,
    w: Layer,
    inp: SparseInput | Attention,
    cur: Tensor,
    inp_pos: Tensor,
    top_k: Tensor | None,
    *,
    full: bool,
    il: int,
) -> tuple[Tensor, Tensor | None]:
    """`build_attention` and `build_attention_dsa`."""
    qr = g.mul_mat(w.attn_q_a, cur)
    qr = g.build_norm(qr, w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
    if isinstance(inp, SparseInput) and full:
        top_k = build_top_k(g, w, inp, cur, qr, inp_pos, il)
    q, k, v = latent_qkv(g, w, cur, qr, inp_pos, il)
    sinks = w.attn_sinks
    if isinstance(inp, SparseInput):
        assert top_k is not None
        out = build_sparse_attn(
            g, inp, None, q, k, v, il, top_k=top_k, v_mla=w.attn_v_b, sinks=sinks
        )
    else:
        out = g.build_attn(inp, None, None, q, k, v, il, v_mla=w.attn_v_b, sinks=sinks)
    out = g.mul(out, g.sigmoid(g.mul_mat(w.attn_gate, cur)))
    return g.build_lora_mm(w.attn_output, out), top_k
