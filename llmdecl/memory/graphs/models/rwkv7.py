"""rwkv7 and arwkv7 (src/models/rwkv7-base.cpp, rwkv7.cpp, arwkv7.cpp)."""

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


def graph(g: Context) -> None:
    """`llama_model_rwkv7::graph`."""
    cur = g.build_inp_embd()
    norm, bias = g.weight("token_embd_norm.weight"), g.weight("token_embd_norm.bias")
    cur = g.build_norm(cur, norm, bias, "LLM_NORM", 0)
    inp = g.build_rs_inp()
    out_ids = g.build_inp_out_ids()
    shape = g.n_embd, g.n_tokens
    v_first: Tensor | None = None
    for il in g.keep:
        w = g.layer(il)
        before = g.reshape(cur, g.n_embd, g.n_seq_tokens, g.n_seqs)
        shift = shift_load(g, inp, il)
        att_shift, ffn_shift = last(g, shift), last(g, shift)
        att_norm = g.build_norm(before, w.attn_norm, w.attn_norm_b, "LLM_NORM", il)
        x_prev = previous(g, att_shift, att_norm)
        cur, v_first = time_mix(g, w, inp, att_norm, x_prev, v_first, il)
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
        sx = g.sub(x_prev, ffn_norm)
        xk = g.add(g.mul(sx, w.channel_mix_lerp_k), ffn_norm)
        k = g.sqr(g.relu(g.build_lora_mm(w.channel_mix_key, xk)))
        cur = g.add(g.build_lora_mm(w.channel_mix_value, k), ffn_inp)
    finish(g, cur, "LLM_NORM")


def graph_qwen2(g: Context) -> None:
    """`llama_model_arwkv7::graph`."""
    cur = g.build_inp_embd()
    inp = g.build_rs_inp()
    out_ids = g.build_inp_out_ids()
    v_first: Tensor | None = None
    for il in g.keep:
        w = g.layer(il)
        before = g.reshape(cur, g.n_embd, g.n_seq_tokens, g.n_seqs)
        shift = shift_load(g, inp, il)
        att_norm = g.build_norm(before, w.attn_norm, w.attn_norm_b, "LLM_NORM_RMS", il)
        x_prev = previous(g, shift, att_norm)
        cur, v_first = time_mix(g, w, inp, att_norm, x_prev, v_first, il)
        g.expand(shift_store(g, last(g, att_norm), il))
        cur = dense_ffn(g, cur, before, out_ids, il)
    finish(g, cur, "LLM_NORM_RMS")


def time_mix(
    g: Context,
    w: Layer,
    inp: RecurrentInput,
    cur: Tensor,
    x_prev: Tensor,
    v_first: Tensor | None,
    il: int,
) -> tuple[Tensor, Tensor]:
    """`build_rwkv7_time_mix`; the first block's values are read by all others."""
    h, n, n_embd = g.h, g.n_tokens, g.n_embd
    size = h.number("wkv.head_size")
    heads = n_embd // size
    g1, g2 = w.time_mix_g1, w.time_mix_g2
    gates = g1 is not None and g2 is not None
    sx = g.sub(x_prev, cur)
    sx = g.repeat_4d(sx, n_embd, g.n_seq_tokens, g.n_seqs, 6 if gates else 5)
    xxx = g.add(g.mul(sx, w.time_mix_lerp_fused), cur)
    xr, xw, xk, xv, xa, xg = (g.view_2d(xxx, n_embd, n, xxx.nb[1]) for _ in range(6))
    r = g.build_lora_mm(w.time_mix_receptance, xr)
    decay = g.mul_mat(w.time_mix_w2, g.tanh(g.mul_mat(w.time_mix_w1, xw)))
    decay = g.exp(g.scale(g.sigmoid(g.add(decay, w.time_mix_w0))))
    k = g.build_lora_mm(w.time_mix_key, xk)
    v = g.build_lora_mm(w.time_mix_value, xv)
    if v_first is None:
        v_first = v
    else:
        share = g.mul_mat(w.time_mix_v2, g.mul_mat(w.time_mix_v1, xv))
        share = g.sigmoid(g.add(share, w.time_mix_v0))
        v = g.add(v, g.mul(g.sub(v_first, v), share))
    gate = g.mul_mat(g2, g.sigmoid(g.mul_mat(g1, xg))) if gates else None
    a = g.mul_mat(w.time_mix_a2, g.mul_mat(w.time_mix_a1, xa))
    a = g.sigmoid(g.add(a, w.time_mix_a0))
    kk = g.l2_norm(g.reshape(g.mul(k, w.time_mix_k_k), size, heads, n))
    ka = g.mul(k, w.time_mix_k_a)
    k = g.add(k, g.sub(g.mul(a, ka), ka))
    r, decay, k, v, a = (g.reshape(t, size, heads, n) for t in (r, decay, k, v, a))
    state = g.build_rs(inp, g.states().get(1, il), h.n_embd_s, g.n_seqs)
    out = g.linear_attention("RWKV_WKV7", r, state, decay, k, v, g.neg(kk), g.mul(kk, a))
    cur = store_wkv(g, out, il)
    ln, ln_b = w.time_mix_ln, w("time_mix_ln.bias")
    if ln is not None and ln_b is not None:
        cur = g.norm(g.reshape(cur, n_embd // heads, heads, n))
        cur = g.add(g.mul(g.reshape(cur, n_embd, n), ln), ln_b)
    else:
        cur = g.reshape(cur, n_embd, n)
    rk = g.sum_rows(g.mul(g.mul(k, r), g.reshape(w.time_mix_r_k, size, heads)))
    cur = g.add(cur, g.reshape(g.mul(v, rk), n_embd, n))
    if gate is not None:
        cur = g.mul(cur, gate)
    cur = g.build_lora_mm(w.time_mix_output, cur)
    return g.reshape(cur, n_embd, g.n_seq_tokens, g.n_seqs), v_first
