"""Sparse attention over the cells that an indexer chooses: DeepSeek V3.2 and its heirs.

`llama_kv_cache_dsa`, `build_attn_inp_k_dsa` and `build_attn` of that kind of input.
"""

from copy import copy
from dataclasses import dataclass

from llmdecl.memory.ggml.tensor import F16, F32, Tensor
from llmdecl.memory.graphs.caches import KvCache, LayerFilter, Memory, attention
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import AttentionInput, Layer
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

ALWAYS_TURNED = frozenset({"deepseek32", "deepseek4", "glm-dsa", "dots3note"})
"""Architectures whose indexers' keys turn whatever their type."""


@dataclass(slots=True)
class SparseInput:
    """`llm_graph_input_attn_k_dsa`: the attention's own part, and the indexer's."""

    main: AttentionInput
    index: AttentionInput


def indexed_memory(h: HParams, run: RunParameters, site: Site, full: LayerFilter) -> Memory:
    """A cache of attention, and one of the indexer's keys in those blocks that have one."""
    memory = attention(h, run, site)
    memory.idx = index_cache(h, run, site, full)
    return memory


def index_cache(h: HParams, run: RunParameters, site: Site, full: LayerFilter) -> KvCache:
    """One head of keys; values, too, where attention keeps some."""
    one = copy(h)
    one.n_head_kv_arr = [1] * h.n_layer_all
    one.head_k_full = h.number("attention.indexer.key_length")
    layers = tuple(il for il in range(h.n_layer) if full(il))
    return KvCache(
        one, run, site, run.n_ctx_seq, layers, k_only=h.is_mla,
        always_rotates=h.arch in ALWAYS_TURNED,
    )  # fmt: skip


def indexer_types(h: HParams) -> list[bool]:
    """Blocks with an indexer of their own; others use the choice of one before."""
    given = h.get("attention.indexer.types")
    flags = given if isinstance(given, tuple) else (given,) * h.n_layer_all
    found = [bool(value) for value in flags][: h.n_layer]
    return found + [False] * (h.n_layer_all - len(found))


def build_sparse_input(g: Context) -> SparseInput:
    """`build_attn_inp_k_dsa`."""
    main, cache = g.build_attn_inp_k().full, g.memory.idx
    assert main is not None
    assert cache is not None
    streams = 1 if g.run.kv_unified else g.n_seqs
    mask = g.input(F16, cache.size, g.n_tokens // streams, 1, streams, name="kq_mask")
    index = AttentionInput(mask, cache, cache.k_idxs(g, g.n_tokens))
    index.k_rot = cache.k_rot(g)
    return SparseInput(main, index)


def build_top_k(
    g: Context, w: Layer, inp: SparseInput, cur: Tensor, qr: Tensor, inp_pos: Tensor, il: int
) -> Tensor:
    """Which cells each token attends to; fused, as it always is (src/llama-context.cpp:237)."""
    h, n = g.h, g.n_tokens
    heads, size = h.number("attention.indexer.head_count"), h.number("attention.indexer.key_length")
    index = inp.index
    assert index.cache is not None
    assert index.k_idxs is not None
    q = g.rope(g.reshape(g.mul_mat(w("indexer.attn_q_b.weight"), qr), size, heads, n), inp_pos)
    k = g.mul_mat(w("indexer.attn_k.weight"), cur)
    k = g.build_norm(k, w("indexer.k_norm.weight"), w("indexer.k_norm.bias"), "LLM_NORM", il)
    k = g.rope(g.reshape(k, size, 1, n), inp_pos)
    if index.k_rot is not None and index.cache.always_rotates:
        q, k = g.mul_mat(index.k_rot, q), g.mul_mat(index.k_rot, k)
    g.expand(index.cache.cpy_k(g, k, index.k_idxs, il))
    weights = g.mul_mat(w("indexer.proj.weight"), cur)
    k = index.cache.get_k(g, il)
    streams = k.ne[3]
    q = g.view_4d(
        q, q.ne[0], q.ne[1], q.ne[2] // streams, streams, q.nb[1], q.nb[2], q.nb[3] // streams
    )
    weights = g.view_4d(
        weights, weights.ne[0], weights.ne[1] // streams, weights.ne[2], streams,
        weights.nb[1], weights.nb[2] // streams, weights.nb[3] // streams,
    )  # fmt: skip
    score = g.lightning_indexer(q, k, g.scale(weights), index.mask)
    return g.cont(g.top_k(score, min(score.ne[0], h.number("attention.indexer.top_k"))))


def build_sparse_attn(
    g: Context,
    inp: SparseInput,
    wo: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    il: int,
    *,
    top_k: Tensor,
    v_mla: Tensor | None = None,
    sinks: Tensor | None = None,
    wo_s: Tensor | None = None,
) -> Tensor:
    """`build_attn` with a mask of all cells but those chosen."""
    main = inp.main
    assert main.cache is not None
    assert main.k_idxs is not None
    for part in (q, v, k):
        g.expand(part)
    g.expand(main.cache.cpy_k(g, k, main.k_idxs, il))
    masked = g.fill(main.mask)
    n0, n1, _, n3 = masked.ne
    masked = g.view_4d(masked, 1, n0, n1, n3, *masked.nb[:3])
    t0, t1, _, t3 = top_k.ne
    ids = g.view_4d(top_k, t0, t1, t3, 1, top_k.nb[1], top_k.nb[2], t3 * top_k.nb[3])
    zeros = g.fill(g.new(F32, 1, *ids.ne[:3]))
    mask = g.set_rows(masked, zeros, ids)
    mask = g.view_4d(
        mask, mask.ne[1], mask.ne[2], 1, mask.ne[3], mask.nb[2], mask.nb[3], mask.nb[3]
    )
    mask = g.add(mask, main.mask)
    keys = main.cache.get_k(g, il)
    values = g.view_4d(keys, v.ne[0], *keys.ne[1:], *keys.nb[1:])
    cur = g.build_attn_mha(q, keys, values, None, mask, sinks, v_mla, il)
    return cur if wo is None else g.build_lora_mm(wo, cur, wo_s)
