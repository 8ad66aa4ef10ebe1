"""rwkv6 and rwkv6qwen2 (src/models/rwkv6-base.cpp, rwkv6.cpp, rwkv6qwen2.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.mamba_base import RecurrentInput
from llmdecl.memory.graphs.models.rwkv_base import (
    dense_ffn,
    finish,
    last,
    previous,
    shift_load,
    shift_store,
    store_wkv,
)

MIXES = ("w", "k", "v", "r", "g")


def graph(g: Context) -> None:
    """`llama_model_rwkv6::graph`."""
    cur = g.build_inp_embd()
    norm, bias = g.weight("token_embd_norm.weight"), g.weight("token_embd_norm.bias")
    cur = g.build_norm(cur, norm, bias, "LLM_NORM", 0)
    inp = g.build_rs_inp()
    out_ids = g.build_inp_out_ids()
    shape = g.n_embd, g.n_tokens
    for il in g.keep:
        w = g.layer(il)
        before = g.reshape(cur, g.n_embd, g.n_seq_tokens, g.n_seqs)
        shift = shift_load(g, inp, il)
        att_shift, ffn_shift = last(g, shift), last(g, shift)
        att_norm = g.build_norm(before, w.attn_norm, w.attn_norm_b, "LLM_NORM", il)
        cur = time_mix(g, w, inp, att_norm, previous(g, att_shift, att_norm), il)
        ffn_inp = g.add(cur, before)
        ffn_norm = g.build_norm(ffn_inp, w.attn_norm_2, w.attn_norm_2_b, "LLM_NORM", il)
        x_prev = previous(g, ffn_shift, ffn_norm)
        shift = g.concat(last(g, att_norm), last(g, ffn_norm), 1)
        g.expand(shift_store(g, shift, il))
        ffn_inp, ffn_norm, x_prev = (g.reshape(t, *shape) for t in (ffn_inp, ffn_norm, x_prev))
        if il == g.n_layer - 1:
            ffn_inp, ffn_norm, x_prev = (
                g.get_rows(t, out_ids) for t in (ffn_inp, ffn_norm, x_prev)
            )
        cur = g.add(_channel_mix(g, w, ffn_norm, x_prev), ffn_inp)
        if g.h.marks[il]:
            cur = g.scale(cur)
    finish(g, cur, "LLM_NORM")


def graph_qwen2(g: Context) -> None:
    """`llama_model_rwkv6qwen2::graph`."""
    cur = g.build_inp_embd()
    inp = g.build_rs_inp()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        before = g.reshape(cur, g.n_embd, g.n_seq_tokens, g.n_seqs)
        shift = shift_load(g, inp, il)
        att_norm = g.build_norm(before, w.attn_norm, w.attn_norm_b, "LLM_NORM_RMS", il)
        cur = time_mix(g, w, inp, att_norm, previous(g, shift, att_norm), il)
        g.expand(shift_store(g, last(g, att_norm), il))
        cur = dense_ffn(g, cur, before, out_ids, il)
    finish(g, cur, "LLM_NORM_RMS")


def _channel_mix(g: Context, w: Layer, cur: Tensor, x_prev: Tensor) -> Tensor:
    sx = g.sub(x_prev, cur)
    xk = g.add(g.mul(sx, w.channel_mix_lerp_k), cur)
    xr = g.add(g.mul(sx, w.channel_mix_lerp_r), cur)
    r = g.sigmoid(g.build_lora_mm(w.channel_mix_receptance, xr))
    k = g.sqr(g.relu(g.build_lora_mm(w.channel_mix_key, xk)))
    return g.mul(r, g.build_lora_mm(w.channel_mix_value, k))


def _mixed(g: Context, w: Layer, sx: Tensor, cur: Tensor) -> tuple[Tensor, ...]:
    """What decay, keys, values, receptance and gate are made from."""
    n_embd, n = g.n_embd, g.n_tokens
    xxx = g.add(g.mul(sx, w.time_mix_lerp_x), cur)
    w1, w2 = w.time_mix_w1, w.time_mix_w2
    xxx = g.reshape(g.tanh(g.mul_mat(w1, xxx)), w1.ne[1] // 5, 1, 5, n)
    xxx = g.cont(g.permute(xxx, 0, 1, 3, 2))
    xxx = g.mul_mat(g.reshape(w2, w2.ne[0], w2.ne[1], 1, 5), xxx)
    fused = w.time_mix_lerp_fused
    if fused is not None:
        sx, cur = g.reshape(sx, n_embd, 1, n), g.reshape(cur, n_embd, 1, n)
        xxx = g.add(g.mul(g.add(xxx, fused), sx), cur)
        return tuple(g.view_2d(xxx, n_embd, n, xxx.nb[1]) for _ in MIXES)
    parts = [g.view_2d(xxx, n_embd, n, xxx.nb[1]) for _ in MIXES]
    return tuple(
        g.add(g.mul(g.add(part, w(f"time_mix_lerp_{name}.weight")), sx), cur)
        for name, part in zip(MIXES, parts, strict=True)
    )


def time_mix(
    g: Context, w: Layer, inp: RecurrentInput, cur: Tensor, x_prev: Tensor, il: int
) -> Tensor:
    """`build_rwkv6_time_mix`."""
    h, n, n_embd = g.h, g.n_tokens, g.n_embd
    size = h.number("wkv.head_size")
    heads, heads_kv = n_embd // size, h.n_head_kv(il)
    first = w.time_mix_first
    sx = g.reshape(g.sub(x_prev, cur), n_embd, n)
    cur = g.reshape(cur, n_embd, n)
    xw, xk, xv, xr, xg = _mixed(g, w, sx, cur)
    r = g.build_lora_mm(w.time_mix_receptance, xr)
    k = g.build_lora_mm(w.time_mix_key, xk)
    v = g.build_lora_mm(w.time_mix_value, xv)
    r, k, v = (
        part if bias is None else g.add(part, bias)
        for part, bias in (
            (r, w("time_mix_receptance.bias")),
            (k, w("time_mix_key.bias")),
            (v, w("time_mix_value.bias")),
        )
    )
    gate = g.unary(g.build_lora_mm(w.time_mix_gate, xg))
    if heads_kv not in (0, heads):
        k, v = (g.reshape(t, size, 1, heads_kv, n) for t in (k, v))
        k, v = (g.repeat_4d(t, size, heads // heads_kv, heads_kv, n) for t in (k, v))
    k, v, r = (g.reshape(t, size, heads, n) for t in (k, v, r))
    decay = g.mul_mat(w.time_mix_decay_w2, g.tanh(g.mul_mat(w.time_mix_decay_w1, xw)))
    decay = g.add(decay, w.time_mix_decay)
    decay = g.reshape(g.exp(g.neg(g.exp(decay))), size, heads, n)
    if first is None:
        k = g.sub(k, g.mul(k, decay))
    state = g.build_rs(inp, g.states().get(1, il), h.n_embd_s, g.n_seqs)
    if first is None:
        out = g.linear_attention("GATED_LINEAR_ATTN", k, state, v, r, decay)
    else:
        out = g.linear_attention("RWKV_WKV6", k, state, v, r, first, decay)
    cur = store_wkv(g, out, il)
    if first is not None:
        cur = g.norm(g.reshape(cur, n_embd // heads, heads, n))
        cur = g.reshape(cur, n_embd, n)
        cur = g.add(g.mul(cur, w.time_mix_ln), w.time_mix_ln_b)
    else:
        cur = g.reshape(cur, n_embd, n)
    cur = g.build_lora_mm(w.time_mix_output, g.mul(cur, gate))
    return g.reshape(cur, n_embd, g.n_seq_tokens, g.n_seqs)
