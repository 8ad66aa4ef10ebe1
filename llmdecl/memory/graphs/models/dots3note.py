"""dots3note (src/models/dots3note.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import wanted
from llmdecl.memory.graphs.models.deepseek2 import absorbed, finish
from llmdecl.memory.graphs.models.indexer import (
    build_sparse_attn,
    build_sparse_input,
    build_top_k,
    indexed_memory,
    indexer_types,
)
from llmdecl.memory.graphs.models.routed import gating, scaled_experts_or_dense
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(0)
    h.marks = list(indexer_types(h))


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_dsa_iswa`."""
    return indexed_memory(h, run, site, lambda il: bool(h.marks[il]))


def graph(g: Context) -> None:
    """`llama_model_dots3note::graph`."""
    h, n = g.h, g.n_tokens
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp = build_sparse_input(g)
    swa = Attention(full=g.build_attn_inp_k().swa)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        windowed, heads = h.is_swa[il], h.n_head(il)
        residual = cur
        cur = attn_inp = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        qr = g.mul_mat(w.attn_q_a, cur)
        qr = g.build_norm(qr, w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
        top_k = None if windowed else build_top_k(g, w, inp, cur, qr, inp_pos, il)
        q, k, v = _latent_qkv(g, w, cur, qr, inp_pos, il)
        if top_k is None:
            cur = g.build_attn(swa, None, None, q, k, v, il, v_mla=w.attn_v_b)
        else:
            cur = build_sparse_attn(g, inp, None, q, k, v, il, top_k=top_k, v_mla=w.attn_v_b)
        gate = g.sigmoid(g.build_lora_mm(w.attn_gate, attn_inp))
        head_v = cur.ne[0] // heads
        cur = g.mul(g.reshape(cur, head_v, heads, n), g.reshape(gate, 1, heads, n))
        cur = g.build_lora_mm(w.attn_output, g.reshape(cur, head_v * heads, n), w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(scaled_experts_or_dense(g, w, cur, il, how=gating(h)), ffn_inp)
    finish(g, cur)
    g.t_h_nextn = None


def _latent_qkv(
    g: Context, w: Layer, cur: Tensor, qr: Tensor, inp_pos: Tensor, il: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows have sizes of their own."""
    h, n, heads, rotated = g.h, g.n_tokens, g.h.n_head(il), g.h.n_rot()
    suffix = "_swa" if h.is_swa[il] else ""
    rank = h.number("attention.kv_lora_rank" + suffix)
    head_k = h.number("attention.key_length_mla" + suffix)
    q = g.mul_mat(w.attn_q_b, qr)
    row = row_size(F32, head_k)
    q_nope = g.view_3d(q, head_k - rotated, heads, n, row, row * heads)
    q_pe = g.view_3d(q, rotated, heads, n, row, row * heads)
    both = g.mul_mat(w.attn_kv_a_mqa, cur)
    row = row_size(F32, rank + rotated)
    kv = g.view_2d(both, rank, n, row)
    k_pe = g.view_3d(both, rotated, 1, n, row, row)
    k_pe = g.build_norm(k_pe, w.attn_k_norm, None, "LLM_NORM_RMS", il)
    q_pe, k_pe = g.rope(q_pe, inp_pos), g.rope(k_pe, inp_pos)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
    v = g.reshape(kv, rank, 1, n)
    return q, g.concat(v, k_pe, 0), v
