"""glm5-next (src/models/glm5-next.cpp)."""

from copy import copy
from dataclasses import dataclass

from llmdecl.memory.ggml import pad
from llmdecl.memory.ggml.tensor import F16, F32, I32, I64, Tensor
from llmdecl.memory.graphs.caches import KvCache, Memory, hybrid
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import AttentionInput, Layer
from llmdecl.memory.graphs.models.delta_net_base import Copies, build_recurrent_attn, gdn_l2_norm
from llmdecl.memory.graphs.models.hyper import hc_post, hc_pre
from llmdecl.memory.graphs.models.indexer import indexer_types
from llmdecl.memory.graphs.models.kimi_k3 import bounded_gate
from llmdecl.memory.graphs.models.kimi_linear import convolutions
from llmdecl.memory.graphs.models.kimi_linear import hparams as recurrent_blocks
from llmdecl.memory.graphs.models.routed import clamped_experts_or_dense, clamps, gating
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

GATHER_TOKENS = 16
"""Up to as many tokens read chosen rows only."""

POOL_STEP = 64
"""The number of pools is padded to this (`kpool_pad`)."""


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    recurrent_blocks(h)
    h.head_v_full = h.number("attention.kv_lora_rank")
    exps = clamps(h, "swiglu_clamp_exp")
    shexps = exps if h.get("swiglu_clamp_shexp") is None else clamps(h, "swiglu_clamp_shexp")
    h.marks = list(zip(exps, shexps, strict=True))


def _full(h: HParams) -> list[bool]:
    if h.get("attention.indexer.types") is None:
        return [True] * h.n_layer_all
    return indexer_types(h)


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_memory_hybrid_idx`: keys, gates and pooled keys of the indexer in one row."""
    found = hybrid(h, run, site)
    one, full = copy(h), _full(h)
    one.n_head_kv_arr = [1] * h.n_layer_all
    one.head_k_full = 3 * h.number("attention.indexer.key_length")
    layers = tuple(il for il in range(h.n_layer) if not h.is_recr[il] and full[il])
    found.idx = KvCache(one, run, site, run.n_ctx_seq, layers, k_only=True)
    return found


@dataclass(frozen=True, slots=True)
class Pools:
    """`llm_graph_input_kpool`."""

    k_idxs: Tensor
    cells: Tensor
    members: Tensor
    mask: Tensor
    tail: Tensor
    gather_mask: Tensor
    new_members: Tensor
    new_rows: Tensor
    cache: KvCache
    size: int
    gather: bool


def _pools(g: Context) -> Pools:
    h, n, cache = g.h, g.n_tokens, g.memory.idx
    assert cache is not None
    size = h.number("attention.indexer.kpool")
    real = cache.size // size * g.run.n_seq_max
    n_pool, n_new = pad(real + 1, POOL_STEP), max(real, 1)
    top = min(n_pool, h.number("attention.indexer.top_k") // size)
    selected = size * top + (size - 1 if h.flag("attention.indexer.kpool_select_tail") else 0)
    pools = Pools(
        k_idxs=cache.k_idxs(g, n),
        cells=g.input(I32, n_pool),
        members=g.input(I32, size, n_pool),
        mask=g.input(F16, n_pool, n),
        tail=g.input(I32, size - 1, n),
        gather_mask=g.input(F32, selected, 1, 1, n),
        new_members=g.input(I32, size, n_new),
        new_rows=g.input(I64, n_new),
        cache=cache,
        size=size,
        gather=n <= GATHER_TOKENS and cache.size > selected,
    )
    for part in (pools.cells, pools.members, pools.mask, pools.tail, pools.gather_mask):
        g.expand(part)
    return pools


def graph(g: Context) -> None:
    """`llama_model_glm5_next::graph`."""
    h, n, full = g.h, g.n_tokens, _full(g.h)
    hc = h.number("hyper_connection.count")
    inp = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_k().full
    assert inp_attn is not None
    pools = _pools(g)
    out_ids = g.build_inp_out_ids()
    streams = g.repeat_4d(g.reshape(inp, h.n_embd, 1, n), h.n_embd, hc, n, 1)
    chosen: Tensor | None = None
    for il in g.keep:
        w = g.layer(il)
        residual = streams
        cur, post, comb = hc_pre(g, streams, w, "attn", il)
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        g.expand(cur)
        if h.is_recr[il]:
            cur = _delta_attention(g, w, inp_rs, cur, il)
        else:
            cur, chosen = _sparse_attention(
                g, w, inp_attn, pools, cur, None if full[il] else chosen, il
            )
        residual = streams = hc_post(g, cur, residual, post, comb, il)
        cur, post, comb = hc_pre(g, streams, w, "ffn", il)
        cur = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = clamped_experts_or_dense(g, w, cur, il, how=gating(h, "SIGMOID"))
        streams = hc_post(g, cur, residual, post, comb, il)
    flat = g.get_rows(g.reshape(streams, h.n_embd * hc, n), out_ids)
    cur = hc_mean(g, g.reshape(flat, h.n_embd, hc, g.n_outputs))
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def hc_mean(g: Context, x: Tensor) -> Tensor:
    """`build_hc_mean`."""
    rows = [g.view_2d(x, x.ne[0], x.ne[2], x.nb[2]) for _ in range(x.ne[1])]
    cur = rows[0]
    for row in rows[1:]:
        cur = g.add(cur, row)
    return g.scale(cur)


def _delta_attention(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    """`build_kda_layer`."""
    h, tokens, seqs, n = g.h, g.n_seq_tokens, g.n_seqs, g.n_tokens
    head, heads = h.number("kda.head_dim"), h.n_head()
    q, k, v = convolutions(g, w, inp, cur, il)
    g1 = bounded_gate(g, w, cur)
    beta = g.sigmoid(g.reshape(g.mul_mat(w.ssm_beta, cur), 1, heads, tokens, seqs))
    states_all = g.states().get(1, il)
    state = g.build_rs(inp, states_all, h.n_embd_s, seqs)
    state = g.reshape(state, head, head, heads, seqs)
    q, k = gdn_l2_norm(g, q), gdn_l2_norm(g, k)
    out = g.cont(build_recurrent_attn(g, states_all, q, k, v, g1, beta, state, il))
    g2 = g.reshape(g.mul_mat(w.ssm_g_b, g.mul_mat(w.ssm_g_a, cur)), head, heads, n)
    out = g.build_norm(g.reshape(out, head, heads, n), w.ssm_norm, None, "LLM_NORM_RMS", il)
    out = g.cont(g.mul(out, g.sigmoid(g2)), head * heads, n)
    return g.mul_mat(w.attn_output, out)


def _sparse_attention(
    g: Context,
    w: Layer,
    inp: AttentionInput,
    pools: Pools,
    cur: Tensor,
    chosen: Tensor | None,
    il: int,
) -> tuple[Tensor, Tensor]:
    """`build_dsa_layer`: latent attention without positions."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    rank = h.number("attention.kv_lora_rank")
    assert inp.cache is not None
    assert inp.k_idxs is not None
    qr = g.build_norm(g.mul_mat(w.attn_q_a, cur), w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
    q = g.reshape(g.mul_mat(w.attn_q_b, qr), h.head_k_mla - h.n_rot(), heads, n)
    kv = g.build_norm(g.mul_mat(w.attn_kv_a_mqa, cur), w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    kv = g.reshape(kv, rank, 1, n)
    q = g.permute(g.mul_mat(w.attn_k_b, g.permute(q, 0, 2, 1, 3)), 0, 2, 1, 3)
    if chosen is None:
        chosen = _select(g, w, pools, inp.mask, cur, qr, il)
    g.expand(q)
    g.expand(kv)
    g.expand(inp.cache.cpy_k(g, kv, inp.k_idxs, il))
    if pools.gather:
        g.expand(inp.mask)
        out = _gathered(g, w, inp.cache, pools, q, chosen, il)
    else:
        mask = g.reshape(chosen, *inp.mask.ne)
        k = inp.cache.get_k(g, il)
        v = g.view_4d(k, rank, *k.ne[1:], *k.nb[1:])
        out = g.build_attn_mha(q, k, v, None, mask, None, w.attn_v_b, il)
    return g.mul_mat(w.attn_output, out), chosen


def _gathered(
    g: Context, w: Layer, cache: KvCache, pools: Pools, q: Tensor, ids: Tensor, il: int
) -> Tensor:
    """Few tokens: the rows that each of them attends to."""
    n, count = g.n_tokens, ids.ne[0]
    k = cache.rows("k", il)
    rows = g.view_2d(k, k.ne[0], k.ne[1] * k.ne[2], k.nb[1])
    rows = g.reshape(g.get_rows(rows, g.reshape(ids, count * n)), k.ne[0], count, 1, n)
    kq = g.soft_max(g.mul_mat(rows, g.permute(q, 0, 2, 3, 1)), pools.gather_mask)
    kqv = g.mul_mat(w.attn_v_b, g.mul_mat(g.cont(g.transpose(rows)), kq))
    out = g.cont(g.permute(kqv, 0, 2, 1, 3))
    return g.reshape(out, kqv.ne[0] * g.h.n_head(), n)


def _select(
    g: Context, w: Layer, pools: Pools, kq_mask: Tensor, cur: Tensor, qr: Tensor, il: int
) -> Tensor:
    """`build_kpool_select`: which pools of cells each token attends to."""
    h, n, size = g.h, g.n_tokens, pools.size
    heads, dim = h.number("attention.indexer.head_count"), h.number("attention.indexer.key_length")
    n_pool, n_new = pools.cells.ne[0], pools.new_members.ne[1]
    q = g.reshape(g.mul_mat(w("indexer.attn_q_b.weight"), qr), dim, heads, n)
    k = g.mul_mat(w("indexer.attn_k.weight"), cur)
    k = g.build_norm(k, w("indexer.k_norm.weight"), w("indexer.k_norm.bias"), "LLM_NORM", il)
    gate = g.mul_mat(w("indexer_compressor_gate.weight"), cur)
    packed = g.concat(g.concat(k, gate, 0), g.fill(g.new(F32, dim, n)), 0)
    g.expand(pools.cache.cpy_k(g, g.reshape(packed, 3 * dim, 1, n), pools.k_idxs, il))
    stored = pools.cache.rows("k", il)
    n_cells = stored.ne[1] * stored.ne[2]
    key_gate = g.view_2d(stored, 2 * dim, n_cells, stored.nb[1])
    pooled_rows = g.view_2d(stored, dim, n_cells, stored.nb[1])
    n_kv = pools.cache.size
    rows = g.get_rows(key_gate, g.reshape(pools.new_members, size * n_new))
    rows = g.reshape(rows, 2 * dim, size, n_new)
    keys = g.view_3d(rows, dim, size, n_new, *rows.nb[1:3])
    gates = g.view_3d(rows, dim, size, n_new, *rows.nb[1:3])
    logits = g.add(gates, w("indexer_compressor_ape.weight"))
    logits = g.cont(g.permute(logits, 1, 0, 2, 3))
    probs = g.reshape(g.soft_max(g.reshape(logits, size, dim * n_new)), size, dim, n_new)
    keys = g.cont(g.permute(keys, 1, 0, 2, 3))
    pooled_new = g.reshape(g.sum_rows(g.mul(probs, keys)), dim, n_new)
    g.expand(g.set_rows(pooled_rows, pooled_new, pools.new_rows))
    pooled = g.reshape(g.get_rows(pooled_rows, pools.cells), dim, 1, n_pool)
    weights = g.scale(g.mul_mat(w("indexer.proj.weight"), cur))
    score = g.lightning_indexer(q, pooled, weights, pools.mask)
    count = min(n_pool, h.number("attention.indexer.top_k") // size)
    top = g.top_k(score, count)
    ranked = g.get_rows(g.reshape(score, 1, n_pool, n), top)
    order = g.argsort(g.reshape(ranked, count, n))
    top = g.get_rows(g.reshape(g.cast(top, F32), 1, count, n), order)
    top = g.cast(g.cont(g.reshape(top, count, n)), I32)
    ids = g.get_rows(pools.members, g.reshape(top, count * n))
    ids = g.reshape(ids, size * count, n)
    if h.flag("attention.indexer.kpool_select_tail"):
        ids = g.concat(ids, pools.tail, 0)
    return ids if pools.gather else _scattered(g, pools, kq_mask, ids, n_kv)


def _scattered(g: Context, pools: Pools, kq_mask: Tensor, ids: Tensor, n_kv: int) -> Tensor:
    """A mask of all cells but those chosen."""
    n, count = g.n_tokens, ids.ne[0]
    seed = g.cast(g.view_1d(ids, 1), F32)
    blank = g.fill(seed if kq_mask.type is F32 else g.cast(seed, kq_mask.type))
    everything = g.repeat_4d(blank, 1, n_kv + count, n, 1)
    everything = g.reshape(everything, 1, n_kv + count, n)
    zeros = g.reshape(g.repeat_4d(g.fill(seed), 1, count, n, 1), 1, count, n)
    live = g.exp(g.reshape(pools.gather_mask, count, n))
    dump = g.arange(count)
    where = g.add(g.mul(g.sub(g.cast(ids, F32), dump), live), dump)
    ids = g.cast(where, I32)
    chosen = g.set_rows(everything, zeros, g.reshape(ids, count, n, 1))
    chosen = g.view_2d(chosen, n_kv, n, chosen.nb[2])
    return g.add(chosen, g.reshape(kq_mask, n_kv, n))
