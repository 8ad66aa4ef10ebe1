"""deepseek32 (src/models/deepseek32.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import wanted
from llmdecl.memory.graphs.models.deepseek2 import absorbed, compressed_kv, finish
from llmdecl.memory.graphs.models.indexer import (
    build_sparse_attn,
    build_sparse_input,
    build_top_k,
    indexed_memory,
)
from llmdecl.memory.graphs.models.routed import gating, scaled_experts_or_dense
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_dsa`: every block has an indexer."""
    return indexed_memory(h, run, site, lambda _il: True)


def graph(g: Context) -> None:
    """`llama_model_deepseek32::graph`."""
    sparse_graph(g, gating(g.h), [True] * g.h.n_layer_all)


def sparse_graph(g: Context, how: str, full: list[bool]) -> None:
    """Blocks that are not `full` attend to the cells that one before chose."""
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp = build_sparse_input(g)
    out_ids = g.build_inp_out_ids()
    top_k = cur
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        qr = g.mul_mat(w.attn_q_a, cur)
        qr = g.build_norm(qr, w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
        if full[il]:
            top_k = build_top_k(g, w, inp, cur, qr, inp_pos, il)
        q, k, v = latent_qkv(g, w, cur, qr, inp_pos, il)
        cur = build_sparse_attn(
            g, inp, w.attn_output, q, k, v, il, top_k=top_k, v_mla=w.attn_v_b, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(scaled_experts_or_dense(g, w, cur, il, how=how), ffn_inp)
    finish(g, cur)


def latent_qkv(
    g: Context, w: Layer, cur: Tensor, qr: Tensor, inp_pos: Tensor, il: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, compressed keys and the values that are a part of these."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head_k, rotated = h.head_k_mla, h.n_rot()
    q = g.mul_mat(w.attn_q_b, qr)
    row = row_size(F32, head_k)
    q_nope = g.view_3d(q, head_k - rotated, heads, n, row, row * heads)
    q_pe = g.view_3d(q, rotated, heads, n, row, row * heads)
    kv, k_pe = compressed_kv(g, w, cur)
    q_pe, k_pe = g.rope(q_pe, inp_pos), g.rope(k_pe, inp_pos)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
    v = g.reshape(kv, kv.ne[0], 1, n)
    return q, g.concat(v, k_pe, 0), v
