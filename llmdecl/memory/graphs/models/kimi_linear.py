"""kimi-linear (src/models/kimi-linear.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import wanted
from llmdecl.memory.graphs.models.deepseek2 import absorbed, compressed_kv
from llmdecl.memory.graphs.models.delta_net_base import Copies, fused_delta_net, gdn_l2_norm
from llmdecl.memory.graphs.models.routed import experts_or_dense, gating


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: blocks without key heads are recurrent."""
    h.is_recr = [il < h.n_layer and h.n_head_kv(il) == 0 for il in range(h.n_layer_all)]
    delta_state(h)


def delta_state(h: HParams) -> None:
    """States of Kimi Delta Attention (src/llama-hparams.cpp:219, 246)."""
    head, heads = h.number("kda.head_dim"), h.n_head()
    taps = h.ssm_d_conv - 1 if h.ssm_d_conv > 0 else 3
    h.n_embd_r = 3 * taps * heads * head
    h.n_embd_s = head * head * heads


def graph(g: Context) -> None:
    """`llama_model_kimi_linear::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_k() if h.is_mla else g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        g.expand(cur)
        if h.is_recr[il]:
            cur = _delta_attention(g, w, inp_rs, cur, il)
        else:
            cur = _attention(g, w, inp_attn, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = experts_or_dense(g, w, cur, il, norm_w=True, how=gating(h))
        cur = g.add(cur, ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def causal_conv1d(
    g: Context, states_all: Tensor, state_all: Tensor, x: Tensor, proj: Tensor | None, conv: Tensor
) -> Tensor:
    """One of the three convolutions."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    head, heads, taps = h.number("kda.head_dim"), h.n_head(), h.ssm_d_conv - 1
    inner, size = head * heads, 4
    total = 3 * taps * inner * size
    state = g.view_3d(state_all, taps, inner, seqs, taps * size, total)
    x = x if proj is None else g.mul_mat(proj, x)
    x = g.concat(state, g.transpose(g.reshape(x, inner, tokens, seqs)), 0)
    last = g.view_3d(x, taps, inner, seqs, *x.nb[1:3])
    g.expand(g.cpy(last, g.view_3d(states_all, taps, inner, seqs, taps * size, total)))
    out = g.ssm_conv(x, g.reshape(conv, h.ssm_d_conv, inner))
    out = g.silu(g.reshape(out, inner, g.n_tokens))
    return g.reshape(out, head, heads, tokens, seqs)


def convolutions(
    g: Context, w: Layer, inp: Copies, cur: Tensor, il: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, each after its convolution."""
    n = g.n_tokens
    inner = g.h.number("kda.head_dim") * g.h.n_head()
    states_all = g.states().get(0, il)
    state_all = g.build_rs(inp, states_all, g.h.n_embd_r, g.n_seqs)
    parts = []
    if (fused := w("attn_qkv.weight")) is not None:
        qkv = g.mul_mat(fused, cur)
        split = [g.cont(g.view_2d(qkv, inner, n, qkv.nb[1])) for _ in range(3)]
        projections = [None] * 3
    else:
        split = [cur] * 3
        projections = [w.attn_q, w.attn_k, w.attn_v]
    for name, x, proj in zip("qkv", split, projections, strict=True):
        conv = w(f"ssm_conv1d_{name}.weight")
        parts.append(causal_conv1d(g, states_all, state_all, x, proj, conv))
    return parts[0], parts[1], parts[2]


def _delta_attention(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    h, tokens, seqs, n = g.h, g.n_seq_tokens, g.n_seqs, g.n_tokens
    head, heads = h.number("kda.head_dim"), h.n_head()
    q, k, v = convolutions(g, w, inp, cur, il)
    g1 = g.mul_mat(w.ssm_f_b, g.mul_mat(w.ssm_f_a, cur))
    g1 = g.reshape(g.softplus(g.add(g1, w("ssm_dt.bias"))), head, heads, n)
    g1 = g.reshape(g.mul(g1, g.reshape(w("ssm_a"), 1, heads, 1)), head, heads, tokens, seqs)
    beta = g.sigmoid(g.reshape(g.mul_mat(w.ssm_beta, cur), 1, heads, tokens, seqs))
    cur = g.reshape(cur, cur.ne[0], tokens, seqs)
    states_all = g.states().get(1, il)
    state = g.build_rs(inp, states_all, h.n_embd_s, seqs)
    state = g.reshape(state, head, head, heads, seqs)
    q, k = gdn_l2_norm(g, q), gdn_l2_norm(g, k)
    out, new_state = fused_delta_net(g, q, k, v, g1, beta, state, il)
    out = g.cont(out)
    g.expand(g.cpy(new_state, g.view_1d(states_all, h.n_embd_s * seqs)))
    flat = g.reshape(cur, cur.ne[0], n)
    g2 = g.reshape(g.mul_mat(w.ssm_g_b, g.mul_mat(w.ssm_g_a, flat)), head, heads, n)
    out = g.build_norm(g.reshape(out, head, heads, n), w.ssm_norm, None, "LLM_NORM_RMS", il)
    out = g.cont(g.mul(out, g.sigmoid(g2)), head * heads, n)
    return g.mul_mat(w.attn_output, out)


def _attention(g: Context, w: Layer, inp: Attention, cur: Tensor, il: int) -> Tensor:
    """Latent attention without positions."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head_k = h.head_k_mla or h.head_k()
    head_v = h.head_v_mla or h.head_v()
    rotated = h.n_rot()
    plain = head_k - rotated
    q = g.mul_mat(w.attn_q, cur)
    kv, k_pe = compressed_kv(g, w, cur)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    if w("attn_k_b.weight") is not None and w("attn_v_b.weight") is not None:
        row = row_size(F32, head_k)
        q_nope = g.view_3d(q, plain, heads, n, row, row * heads)
        q_pe = g.view_3d(q, rotated, heads, n, row, row * heads)
        q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
        v = g.reshape(kv, kv.ne[0], 1, n)
        k = g.concat(v, k_pe, 0)
        return g.build_attn(
            inp, w.attn_output, None, q, k, v, il, v_mla=w.attn_v_b, wo_s=w.attn_output_s
        )
    q = g.reshape(q, head_k, heads, n)
    both = g.mul_mat(w.attn_kv_b, kv)
    row = row_size(F32, plain + head_v)
    k_nope = g.view_3d(both, plain, heads, n, row, row * heads)
    v = g.cont(g.view_3d(both, head_v, heads, n, row, row * heads))
    k = g.concat(g.repeat_4d(k_pe, rotated, heads, n), k_nope, 0)
    return g.build_attn(inp, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
