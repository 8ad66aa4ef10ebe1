"""t5 and t5encoder (src/models/t5.cpp)."""

from llmdecl.memory.ggml.tensor import F32, I32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Attention, AttentionInput, Layer
from llmdecl.memory.graphs.models.common import wanted


def _bias(g: Context, buckets: Tensor, table: Tensor) -> Tensor:
    """`build_pos_bias`."""
    flat = g.reshape(buckets, buckets.ne[0] * buckets.ne[1])
    bias = g.get_rows(table, flat)
    bias = g.reshape(bias, bias.ne[0], buckets.ne[0], buckets.ne[1])
    return g.cont(g.permute(bias, 2, 0, 1, 3))


def _feed_forward(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    gate = w.ffn_gate
    return g.build_ffn(
        cur, w.ffn_up, None, gate, None, w.ffn_down, None, "RELU" if gate is None else "GELU", il,
        parallel=gate is not None,
    )  # fmt: skip


def _separate(
    g: Context, w: Layer, prefix: str, cur: Tensor, other: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of `cur`, keys and values of `other`."""
    h, head = g.h, g.h.head_v()
    q = g.build_lora_mm(w(f"{prefix}_q.weight"), cur)
    k = g.build_lora_mm(w(f"{prefix}_k.weight"), other)
    v = g.build_lora_mm(w(f"{prefix}_v.weight"), other)
    return (
        g.reshape(q, head, h.n_head(), cur.ne[1]),
        g.reshape(k, head, h.n_head_kv(), other.ne[1]),
        g.reshape(v, head, h.n_head_kv(), other.ne[1]),
    )


def graph(g: Context) -> None:
    """The decoder, which is what is reserved for."""
    h = g.h
    n_enc, count = h.n_ctx_train, h.number("decoder_block_count", h.n_layer)
    cur = g.build_inp_embd()
    encoded = g.input(F32, h.n_embd_inp, n_enc, name="cross_embd")
    assert g.memory.kv is not None
    buckets = g.input(I32, g.memory.kv.size, g.n_tokens, name="pos_bucket_dec")
    inp_self = g.build_attn_inp_kv()
    inp_cross = Attention(
        full=AttentionInput(g.input(g.mask_type(), n_enc, g.n_tokens, name="cross_kq_mask"))
    )
    out_ids = g.build_inp_out_ids()
    for il in range(count):
        w = g.layer(il, "dec.blk")
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        table = w("attn_rel_b.weight")
        if table is None:
            table = g.layer(0, "dec.blk")("attn_rel_b.weight")
        cur = g.build_attn(
            inp_self, w("attn_o.weight"), None, q, k, v, il, kq_b=_bias(g, buckets, table)
        )
        cur = crossed = g.add(cur, residual)
        cur = g.build_norm(cur, w.cross_attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = _separate(g, w, "cross_attn", cur, encoded)
        cur = g.build_attn(inp_cross, w("cross_attn_o.weight"), None, q, k, v, il)
        if il == count - 1:
            cur, crossed = g.get_rows(cur, out_ids), g.get_rows(crossed, out_ids)
        ffn_inp = g.add(cur, crossed)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(_feed_forward(g, w, cur, il), ffn_inp)
    cur = g.build_norm(cur, g.weight("dec.output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.t_logits = cur
    g.expand(cur)


def graph_encoder(g: Context) -> None:
    """The encoder alone."""
    cur = g.build_inp_embd()
    buckets = g.input(I32, g.n_tokens, g.n_tokens, name="pos_bucket_enc")
    inp_attn = g.build_attn_inp_no_cache()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il, "enc.blk")
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = _separate(g, w, "attn", cur, cur)
        table = w("attn_rel_b.weight")
        if table is None:
            table = g.layer(0, "enc.blk")("attn_rel_b.weight")
        cur = g.build_attn(
            inp_attn, w("attn_o.weight"), None, q, k, v, il, kq_b=_bias(g, buckets, table)
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(_feed_forward(g, w, cur, il), ffn_inp)
    cur = g.build_norm(cur, g.weight("enc.output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.expand(cur)
