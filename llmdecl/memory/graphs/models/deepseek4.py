"""deepseek4 (src/models/deepseek4.cpp, src/llama-kv-cache-dsv4.cpp)."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml import pad
from llmdecl.memory.ggml.tensor import F16, F32, I32, I64, Tensor
from llmdecl.memory.graphs.caches import CONTEXT_STEP, KvCache, Memory, window_cells
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.hyper import affine, hc_post, hc_pre, weighted_sum
from llmdecl.memory.graphs.models.routed import clamps, gating
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

CSA, HCA = 4, 128
"""Tokens that become one: with an indexer, and without one."""


def ratios(h: HParams) -> list[int]:
    """Tokens that become one in each block; 0: none do."""
    return h.each("attention.compress_ratios", 0)


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: every block slides its window."""
    if not any(group.name.endswith("nextn.eh_proj.weight") for group in h.gguf.tensors):
        h.n_layer_nextn = 0
    h.n_swa = h.number("attention.sliding_window")
    h.swa_type = True
    h.is_swa = [True] * h.n_layer_all
    h.n_embd_out = h.number("hyper_connection.count") * h.n_embd
    exps = clamps(h, "swiglu_clamp_exp")
    shexps = exps if h.get("swiglu_clamp_shexp") is None else clamps(h, "swiglu_clamp_shexp")
    hashed = h.number("hash_layer_count")
    h.marks = [
        (*limits, ratio, il < hashed)
        for il, (*limits, ratio) in enumerate(zip(exps, shexps, ratios(h), strict=True))
    ]


class Compressor(KvCache):
    """`llama_dsv4_comp_state`: tokens that are not one yet, and their scores, as floats."""

    __slots__ = ()

    @property
    def transposed(self) -> bool:
        """Never."""
        return False

    def type_k(self) -> TensorType:
        """Whatever the cache's type."""
        return F32

    type_v = type_k

    def width_v(self, il: int) -> int:
        """As many scores as elements."""
        return self.width_k(il)


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_dsv4`: a stream a slot even where the cache is unified."""
    run = run.replace(kv_unified=False)
    head, index = h.head_k(0), h.number("attention.indexer.key_length")
    of = ratios(h)
    lid = copy(h)
    lid.n_head_kv_arr = [1] * h.n_layer_all
    lid.head_k_full = lid.head_k_swa = index

    def layers(ratio: int) -> tuple[int, ...]:
        return tuple(il for il in range(h.n_layer) if of[il] == ratio)

    def cache(hp: HParams, ratio: int, *, turned: bool = False) -> KvCache:
        size = pad(max(1, -(-run.n_ctx_seq // ratio)), CONTEXT_STEP)
        return KvCache(hp, run, site, size, layers(ratio), k_only=True, always_rotates=turned)

    def state(ratio: int, size: int, width: int) -> Compressor:
        return Compressor(h, run, site, size, layers(ratio), k_width=lambda _il: width)

    raw = KvCache(
        h, run, site, window_cells(h.n_swa, run), tuple(range(h.n_layer_all)), k_only=True
    )
    return Memory(
        swa=raw,
        others=(
            cache(h, CSA), cache(h, HCA), cache(lid, CSA, turned=True),
            state(CSA, 2 * CSA, 2 * head), state(HCA, HCA, head), state(CSA, 2 * CSA, 2 * index),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compressed:
    """`llm_graph_input_dsv4::comp_input` with its cache and state."""

    cache: KvCache
    state: KvCache
    pos: Tensor
    persist_src: Tensor
    persist_dst: Tensor
    read: Tensor
    write: Tensor
    write_pos: Tensor
    mask: Tensor
    k_rot: Tensor | None


@dataclass(frozen=True, slots=True)
class Inputs:
    """`llm_graph_input_dsv4`."""

    raw: KvCache
    k_idxs: Tensor
    mask: Tensor
    k_rot: Tensor | None
    csa: Compressed
    hca: Compressed
    lid: Compressed
    positions: Tensor


def _compressed(g: Context, which: int, ratio: int, kind: TensorType) -> Compressed:
    """`dsv4_build_comp_inputs` of the worst case."""
    cache, state = g.memory.others[which], g.memory.others[which + 3]
    assert isinstance(cache, KvCache)
    assert isinstance(state, KvCache)
    n, streams = g.n_tokens, _streams(g)
    blocks = n // ratio + max(1, g.n_seqs)
    persisted = min(n, state.size * state.streams)
    reads = (2 if ratio == CSA else 1) * ratio * blocks
    return Compressed(
        cache, state, g.input(I32, n), g.input(I32, persisted), g.input(I32, persisted),
        g.input(I32, reads), g.input(I64, blocks), g.input(I32, blocks),
        g.input(kind, cache.size, n // streams, 1, streams), cache.k_rot(g),
    )  # fmt: skip


def _streams(g: Context) -> int:
    return g.n_seqs


def _inputs(g: Context, positions: Tensor) -> Inputs:
    raw = g.memory.swa
    assert raw is not None
    kind, n, streams = g.mask_type(), g.n_tokens, _streams(g)
    return Inputs(
        raw, g.input(I64, n), g.input(kind, raw.size, n // streams, 1, streams), raw.k_rot(g),
        _compressed(g, 0, CSA, kind), _compressed(g, 1, HCA, kind), _compressed(g, 2, CSA, F16),
        positions,
    )  # fmt: skip


def graph(g: Context) -> None:
    """`llama_model_deepseek4::graph`."""
    h, n = g.h, g.n_tokens
    hc = h.number("hyper_connection.count")
    inp = g.build_inp_embd()
    tokens = inp.src[1]
    inputs = _inputs(g, g.build_inp_pos())
    out_ids = g.build_inp_out_ids()
    g.expand(inputs.mask)
    streams = g.repeat_4d(g.reshape(inp, h.n_embd, 1, n), h.n_embd, hc, n, 1)
    for il in g.keep:
        w = g.layer(il)
        residual = streams
        cur, post, comb = hc_pre(g, streams, w, "attn", il)
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = _attention(g, w, inputs, cur, il)
        residual = streams = hc_post(g, cur, residual, post, comb, il)
        cur, post, comb = hc_pre(g, streams, w, "ffn", il)
        for part in (residual, post, comb):
            g.expand(part)
        cur = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = _ffn(g, w, cur, tokens, il)
        streams = g.cb(hc_post(g, cur, residual, post, comb, il), "l_last", il)
    flat = g.get_rows(g.reshape(streams, h.n_embd * hc, n), out_ids)
    streams = g.reshape(flat, h.n_embd, hc, g.n_outputs)
    flat = g.rms_norm(g.reshape(streams, hc * h.n_embd, g.n_outputs))
    pre = g.mul_mat(g.weight("output_hc_fn.weight"), flat)
    pre = affine(g, pre, g.weight("output_hc_scale.weight"), g.weight("output_hc_base.weight"))
    cur = weighted_sum(g, streams, g.scale_bias(g.sigmoid(pre)), -1)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def _ffn(g: Context, w: Layer, cur: Tensor, tokens: Tensor, il: int) -> Tensor:
    """The first blocks choose experts by token."""
    h, table = g.h, w("ffn_gate_tid2eid.weight")
    hashed = il < h.number("hash_layer_count")
    mark = h.marks[il]
    exps, shexps = (bool(mark[0]), bool(mark[1])) if isinstance(mark, tuple) else (False, False)
    moe_out = g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        None if hashed else w("exp_probs_b.bias"), h.n_expert, h.n_expert_used(), "SILU", il,
        norm_w=h.flag("expert_weights_norm"), gating=gating(h),
        w_scale=h.real("expert_weights_scale"), clamped=exps,
        selected_experts=g.get_rows(table, tokens) if hashed else None,
    )  # fmt: skip
    shared = g.build_ffn(
        cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None, "SILU", il,
        clamped=shexps,
    )  # fmt: skip
    return g.add(moe_out, shared)


def _attention(g: Context, w: Layer, inp: Inputs, cur: Tensor, il: int) -> Tensor:
    """`build_attention_impl`."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head, ratio = h.head_k(il), ratios(h)[il]
    groups = h.number("attention.output_group_count")
    qr = g.build_lora_mm(w.attn_q_a, cur)
    qr = g.build_norm(qr, w.attn_q_a_norm, None, "LLM_NORM_RMS", il)
    q = g.rms_norm(g.reshape(g.build_lora_mm(w("attn_q_b.weight"), qr), head, heads, n))
    q = g.rope(q, inp.positions)
    kv = g.build_lora_mm(w.attn_kv, cur)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    kv = g.rope(g.reshape(kv, head, 1, n), inp.positions)
    if ratio == CSA:
        _compress(g, w, inp.csa, cur, "attn_compressor", _overlapping(g, head), il)
        index = h.number("attention.indexer.key_length")
        _compress(g, w, inp.lid, cur, "indexer_compressor", _overlapping(g, index), il)
    elif ratio == HCA:
        _compress(g, w, inp.hca, cur, "attn_compressor", _plain(g, head), il)
    top_k = _top_k(g, w, inp, qr, cur, il) if ratio == CSA else None
    k_rot = inp.k_rot
    if k_rot is not None:
        q, kv = g.mul_mat_hadamard(q, k_rot), g.mul_mat_hadamard(kv, k_rot)
    g.expand(q)
    g.expand(kv)
    g.expand(inp.raw.cpy_k(g, kv, inp.k_idxs, il))
    keys, mask = inp.raw.get_k(g, il), inp.mask
    if ratio in (CSA, HCA):
        more = inp.csa if ratio == CSA else inp.hca
        found = more.cache.get_k(g, il)
        found = g.view_4d(found, *found.ne, *found.nb[1:])
        keys = g.concat(keys, found, 2)
        chosen = more.mask if top_k is None else _masked(g, more.mask, top_k)
        mask = g.concat(mask, chosen, 0)
    out = g.build_attn_mha(q, keys, keys, None, mask, w.attn_sinks, None, il)
    if k_rot is not None:
        out = g.mul_mat_hadamard(out, k_rot)
    out = g.rope(g.reshape(out, head, heads, n), inp.positions)
    out = g.permute(g.reshape(out, heads // groups * head, groups, n), 0, 2, 1, 3)
    out = g.permute(g.mul_mat(w("attn_output_a.weight"), out), 0, 2, 1, 3)
    out = g.cont(out, h.number("attention.output_lora_rank") * groups, n)
    return g.build_lora_mm(w("attn_output_b.weight"), out)


Pooled = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Elements and scores of the tokens that are read, as one row a block."""


def _compress(
    g: Context, w: Layer, inp: Compressed, cur: Tensor, name: str, pooled: Pooled, il: int
) -> None:
    """Some tokens become one; the rest waits."""
    kv = g.build_lora_mm(w(f"{name}_kv.weight"), cur)
    score = g.build_lora_mm(w(f"{name}_gate.weight"), cur)
    score = g.add(score, g.get_rows(w(f"{name}_ape.weight"), inp.pos))
    kept = [_state(g, inp, part, il) for part in "kv"]
    source = [
        g.concat(g.view_2d(old, old.ne[0], old.ne[1], old.nb[1]), new, 1)
        for old, new in zip(kept, (kv, score), strict=True)
    ]
    found = pooled(source[0], source[1], inp.read)
    found = g.build_norm(found, w(f"{name}_norm.weight"), None, "LLM_NORM_RMS", il)
    found = g.rope(found, inp.write_pos)
    if inp.k_rot is not None:
        found = g.mul_mat_hadamard(found, inp.k_rot)
    g.expand(inp.cache.cpy_k(g, found, inp.write, il))
    rows = [g.get_rows(part, inp.persist_src) for part in (kv, score)]
    written = [
        g.set_rows(_state(g, inp, part, il), row, inp.persist_dst)
        for part, row in zip("kv", rows, strict=True)
    ]
    for part in written:
        g.expand(part)


def _state(g: Context, inp: Compressed, part: str, il: int) -> Tensor:
    """`get_kv_all`, `get_score_all`."""
    stored = inp.state.rows(part, il)
    return g.view_2d(stored, stored.ne[0], stored.ne[1] * stored.ne[2], stored.nb[1])


def _weighted(g: Context, values: Tensor, scores: Tensor) -> Tensor:
    values, scores = (g.cont(g.permute(part, 1, 0, 2, 3)) for part in (values, scores))
    found = g.sum_rows(g.mul(values, g.soft_max(scores)))
    return g.cont(g.permute(found, 1, 0, 2, 3))


def _plain(g: Context, head: int) -> Pooled:
    """`build_hca_compressed_kv_from_state`."""

    def pooled(kv: Tensor, score: Tensor, read: Tensor) -> Tensor:
        blocks = read.ne[0] // HCA
        rows = (g.reshape(g.get_rows(part, read), head, HCA, blocks) for part in (kv, score))
        return _weighted(g, *rows)

    return pooled


def _overlapping(g: Context, head: int) -> Pooled:
    """`build_overlap_compressed_kv_from_state`: blocks read the one before as well."""

    def both(part: Tensor, read: Tensor) -> Tensor:
        zero = g.reshape(g.scale(g.view_1d(part, part.ne[0])), part.ne[0], 1)
        rows = g.get_rows(g.concat(part, zero, 1), read)
        count = read.ne[0] // 2
        before, now = (
            g.reshape(g.cont(g.view_2d(rows, head, count, rows.nb[1])), head, CSA, count // CSA)
            for _ in range(2)
        )
        return g.concat(before, now, 1)

    return lambda kv, score, read: _weighted(g, both(kv, read), both(score, read))


def _top_k(g: Context, w: Layer, inp: Inputs, qr: Tensor, cur: Tensor, il: int) -> Tensor:
    """`build_lid_top_k`."""
    h, n, lid = g.h, g.n_tokens, inp.lid
    heads, size = h.number("attention.indexer.head_count"), h.number("attention.indexer.key_length")
    q = g.build_lora_mm(w("indexer.attn_q_b.weight"), qr)
    q = g.rope(g.reshape(q, size, heads, n), inp.positions)
    assert lid.k_rot is not None
    q = g.mul_mat_hadamard(q, lid.k_rot)
    weights = g.scale(g.build_lora_mm(w("indexer.proj.weight"), cur))
    k = lid.cache.get_k(g, il)
    k = g.view_4d(k, *k.ne, *k.nb[1:])
    streams = k.ne[3]
    q = g.view_4d(
        q, q.ne[0], q.ne[1], q.ne[2] // streams, streams, q.nb[1], q.nb[2], q.nb[3] // streams
    )
    weights = g.view_4d(
        weights, weights.ne[0], weights.ne[1] // streams, weights.ne[2], streams,
        weights.nb[1], weights.nb[2] // streams, weights.nb[3] // streams,
    )  # fmt: skip
    score = g.lightning_indexer(q, k, weights, lid.mask)
    return g.cont(g.top_k(score, min(score.ne[0], h.number("attention.indexer.top_k"))))


def _masked(g: Context, kq_mask: Tensor, top_k: Tensor) -> Tensor:
    """`build_top_k_mask`."""
    masked = g.fill(kq_mask)
    n0, n1, _, n3 = masked.ne
    masked = g.view_4d(masked, 1, n0, n1, n3, *masked.nb[:3])
    t0, t1, _, t3 = top_k.ne
    ids = g.view_4d(top_k, t0, t1, t3, 1, top_k.nb[1], top_k.nb[2], t3 * top_k.nb[3])
    zeros = g.fill(g.new(g.mask_type(), 1, *ids.ne[:3]))
    mask = g.set_rows(masked, zeros, ids)
    mask = g.view_4d(
        mask, mask.ne[1], mask.ne[2], 1, mask.ne[3], mask.nb[2], mask.nb[3], mask.nb[3]
    )
    return g.add(mask, kq_mask)
