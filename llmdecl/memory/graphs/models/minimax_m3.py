"""minimax-m3 (src/models/minimax-m3.cpp)."""

from dataclasses import dataclass

from llmdecl.memory.ggml import pad
from llmdecl.memory.ggml.tensor import F16, F32, I32, Tensor
from llmdecl.memory.graphs.caches import KvCache, Memory, attention
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import AttentionInput, Layer
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.decoder import normed
from llmdecl.memory.graphs.models.indexer import index_cache
from llmdecl.memory.graphs.models.routed import gating
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

POSITIONS = 256
"""As many positions has a cache without content (`get_n_pos`)."""


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_msa`: an indexer in every block with experts."""
    found = attention(h, run, site)
    found.idx = index_cache(h, run, site, lambda il: il >= h.n_layer_dense_lead)
    return found


@dataclass(frozen=True, slots=True)
class Blocks:
    """`llm_graph_input_msa`, with the mask as floats and the indexer's rows of the batch."""

    bias: Tensor
    pos_mask: Tensor
    slots: Tensor
    float_slots: Tensor
    cell_blocks: Tensor
    mask: Tensor
    k_idxs: Tensor
    cache: KvCache
    size: int


def graph(g: Context) -> None:
    """`llama_model_minimax_m3::graph`: sparse with flash attention and a stream a sequence."""
    h, run = g.h, g.run
    sparse = run.flash_attn and (run.n_seq_max == 1 or not run.kv_unified)
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    assert inp_attn.full is not None
    blocks = _blocks(g, inp_attn.full) if sparse else None
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = normed(g, w, q, k, il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        if blocks is None or il < h.n_layer_dense_lead:
            cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        else:
            cur = _sparse(g, w, inp_attn.full, blocks, cur, (q, k, v), inp_pos, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(_ffn(g, w, cur, il), ffn_inp)
    output(g, cur)


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    h, op = g.h, "SWIGLU_OAI_MOE"
    if il < h.n_layer_dense_lead:
        return g.build_ffn(cur, w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None, op, il)
    moe_out = g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        w("exp_probs_b.bias"), h.n_expert, h.n_expert_used(), op, il,
        norm_w=h.flag("expert_weights_norm"), gating=gating(h),
        w_scale=h.real("expert_weights_scale"),
    )  # fmt: skip
    shared = g.build_ffn(
        cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None, op, il
    )
    return g.add(moe_out, shared)


def _blocks(g: Context, main: AttentionInput) -> Blocks:
    cache = g.memory.idx
    assert cache is not None
    size, n = g.h.number("attention.indexer.block_size"), g.n_tokens
    positions = pad(POSITIONS, size)
    cells, _, _, streams = main.mask.ne
    return Blocks(
        bias=g.input(F32, positions // size, n),
        pos_mask=g.input(F32, positions, n),
        slots=g.input(I32, positions, streams),
        float_slots=g.input(F32, positions, streams),
        cell_blocks=g.input(I32, cells, streams),
        mask=g.cast(main.mask, F32),
        k_idxs=cache.k_idxs(g, n),
        cache=cache,
        size=size,
    )


def _sparse(
    g: Context,
    w: Layer,
    main: AttentionInput,
    blocks: Blocks,
    cur: Tensor,
    qkv: tuple[Tensor, Tensor, Tensor],
    inp_pos: Tensor,
    il: int,
) -> Tensor:
    """Attention to those blocks of cells that score best."""
    h, n = g.h, g.n_tokens
    heads, size = h.number("attention.indexer.head_count"), h.number("attention.indexer.key_length")
    iq = g.reshape(g.build_lora_mm(w("indexer.q_proj.weight"), cur), size, heads, n)
    ik = g.reshape(g.build_lora_mm(w("indexer.k_proj.weight"), cur), size, 1, n)
    iq = g.build_norm(iq, w("indexer.q_norm.weight"), None, "LLM_NORM_RMS", il)
    ik = g.build_norm(ik, w("indexer.k_norm.weight"), None, "LLM_NORM_RMS", il)
    iq, ik = g.rope(iq, inp_pos), g.rope(ik, inp_pos)
    g.expand(blocks.cache.cpy_k(g, ik, blocks.k_idxs, il))
    ik = blocks.cache.get_k(g, il)
    q, k, v = qkv
    if main.k_rot is not None:
        q, k = g.mul_mat_hadamard(q, main.k_rot), g.mul_mat_hadamard(k, main.k_rot)
    if main.v_rot is not None:
        v = g.mul_mat_hadamard(v, main.v_rot)
    for part in (q, k, v):
        g.expand(part)
    assert main.cache is not None
    assert main.k_idxs is not None
    assert main.v_idxs is not None
    g.expand(main.cache.cpy_k(g, k, main.k_idxs, il))
    g.expand(main.cache.cpy_v(g, v, main.v_idxs, il))
    k, v = main.cache.get_k(g, il), main.cache.get_v(g, il)
    if main.mask.ne[1] == 1:
        cur = _one_token_each(g, blocks, iq, ik, q, k, v)
    else:
        parts = [_stream(g, blocks, iq, ik, q, k, v) for _ in range(main.mask.ne[3])]
        cur = parts[0]
        for part in parts[1:]:
            cur = g.concat(cur, part, 1)
    if main.v_rot is not None:
        cur = g.mul_mat_hadamard(cur, main.v_rot)
    return g.build_lora_mm(w.attn_output, cur, w.attn_output_s)


def _best(g: Context, score: Tensor, bias: Tensor) -> Tensor:
    """The best blocks of each row of scores."""
    n_blocks = bias.ne[0]
    best = g.of_shape("POOL_2D", (n_blocks, *score.ne[1:]), score)
    return g.top_k(g.add(best, bias), min(g.h.number("attention.indexer.top_k"), n_blocks))


def _one_token_each(
    g: Context, blocks: Blocks, iq: Tensor, ik: Tensor, q: Tensor, k: Tensor, v: Tensor
) -> Tensor:
    """One token of each sequence: chosen cells are gathered."""
    dim, heads, _, _ = iq.ne
    positions, streams = blocks.slots.ne[:2]
    n_kv, heads_kv, n_blocks, size = k.ne[2], k.ne[1], blocks.bias.ne[0], blocks.size
    chosen = g.get_rows(g.view_3d(ik, dim, n_kv, streams, ik.nb[2], ik.nb[3]), blocks.slots)
    iq = g.reshape(iq, dim, heads, 1, streams)
    score = g.mul_mat(g.reshape(chosen, dim, positions, 1, streams), iq)
    score = g.add_inplace(score, g.reshape(blocks.pos_mask, positions, 1, 1, streams))
    ids = _best(g, score, g.reshape(blocks.bias, n_blocks, 1, 1, streams))
    count = ids.ne[0]
    first = g.reshape(g.scale(g.cast(ids, F32)), 1, count, heads, streams)
    tokens = g.add(
        g.repeat_4d(first, size, count, heads, streams), g.reshape(g.arange(size), size, 1, 1)
    )
    token_ids = g.cast(g.reshape(tokens, size * count * heads, streams), I32)
    cells = g.get_rows(g.reshape(blocks.float_slots, 1, positions, streams), token_ids)
    cells = g.reshape(cells, size, count, heads, streams)
    rows = g.add(g.scale(cells), g.reshape(g.arange(heads_kv), 1, 1, heads))
    row_ids = g.cast(g.reshape(rows, size * count * heads, streams), I32)
    masks = g.reshape(blocks.pos_mask, 1, positions, streams)
    found = []
    for stored in (k, v):
        flat = g.view_3d(stored, k.ne[0], heads_kv * n_kv, streams, stored.nb[1], stored.nb[3])
        found.append(g.get_rows(flat, row_ids))
    mask = g.get_rows(masks, token_ids)
    keys, values = (g.reshape(part, k.ne[0], size * count, 1, heads * streams) for part in found)
    keys = g.cast(keys, F16 if k.quantized else k.type) if k.type is not F32 else keys
    values = g.cast(values, F16 if v.quantized else v.type) if v.type is not F32 else values
    mask = g.cast(g.reshape(mask, size * count, 1, 1, heads * streams), F16)
    return _flash(g, q, keys, values, mask, g.h.n_head() // heads_kv)


def _stream(
    g: Context, blocks: Blocks, iq: Tensor, ik: Tensor, q: Tensor, k: Tensor, v: Tensor
) -> Tensor:
    """All tokens of one sequence: a mask for each of the indexer's heads."""
    dim, heads, _, _ = iq.ne
    positions, n_blocks = blocks.slots.ne[0], blocks.bias.ne[0]
    n_kv, tokens = blocks.mask.ne[:2]
    pos_mask, bias, mask = blocks.pos_mask, blocks.bias, blocks.mask
    iq = g.view_3d(iq, dim, heads, tokens, iq.nb[1], iq.nb[2])
    ik = g.view_2d(ik, dim, n_kv, ik.nb[2])
    slots = g.view_1d(blocks.slots, positions)
    pos_mask = g.view_3d(pos_mask, positions, 1, tokens, pos_mask.nb[1], pos_mask.nb[1])
    cell_blocks = g.view_1d(blocks.cell_blocks, n_kv)
    mask = g.view_3d(mask, n_kv, tokens, 1, mask.nb[1], mask.nb[3])
    bias = g.view_3d(bias, n_blocks, 1, tokens, bias.nb[1], bias.nb[1])
    q = g.view_3d(q, k.ne[0], q.ne[1], tokens, q.nb[1], q.nb[2])
    k = g.view_4d(k, k.ne[0], k.ne[1], n_kv, 1, *k.nb[1:])
    v = g.view_4d(v, k.ne[0], k.ne[1], n_kv, 1, *v.nb[1:])
    score = g.mul_mat(g.get_rows(ik, slots), g.reshape(iq, dim, heads * tokens))
    score = g.add_inplace(g.reshape(score, positions, heads, tokens), pos_mask)
    ids = _best(g, score, bias)
    count = ids.ne[0]
    never = g.repeat_4d(g.cast(g.scale_bias(bias), F16), n_blocks, heads, tokens, 1)
    zero = g.scale(g.cast(ids, F32))
    chosen = g.set_rows(
        g.reshape(never, 1, n_blocks, heads * tokens),
        g.reshape(zero, 1, count, heads * tokens),
        g.reshape(ids, count, heads * tokens),
    )
    chosen = g.cont(g.permute(g.reshape(chosen, n_blocks, heads, tokens), 0, 2, 1, 3))
    chosen = g.cont(g.transpose(g.reshape(chosen, n_blocks, tokens * heads)))
    by_cell = g.cont(g.transpose(g.get_rows(chosen, cell_blocks)))
    full = g.add_inplace(g.reshape(by_cell, n_kv, tokens, heads), mask)
    full = g.cast(g.reshape(full, n_kv, tokens, 1, heads), F16)
    keys, values = g.permute(k, 0, 3, 1, 2), g.permute(v, 0, 3, 1, 2)
    return _flash(g, q, keys, values, full, g.h.n_head() // k.ne[1])


def _flash(g: Context, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, group: int) -> Tensor:
    """`build_attn_msa_fa`: heads of a group are rows."""
    dim, heads, tokens, _ = q.ne
    q = g.reshape(q, dim, group, k.ne[3], heads * tokens // (group * k.ne[3]))
    out = g.flash_attn_ext(g.permute(q, 0, 2, 3, 1), k, v, mask)
    out = g.permute(out, 0, 1, 3, 2)
    out = out if out.contiguous else g.cont(out)
    return g.reshape(out, dim * heads, tokens)
