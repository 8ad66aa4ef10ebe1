"""qwen3next (src/models/qwen3next.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import shared_expert, silu
from llmdecl.memory.graphs.models.delta_net_base import (
    Copies,
    build_conv_state,
    build_recurrent_attn,
    gdn_l2_norm,
)


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    given = h.get("attention.recurrent_layers")
    if isinstance(given, tuple):
        flags = [bool(value) for value in given][: h.n_layer_all]
        h.is_recr = flags + [False] * (h.n_layer_all - len(flags))
    elif isinstance(given, int):
        h.is_recr = [bool(given)] * h.n_layer_all
    else:
        step = h.number("full_attention_interval", 4)
        h.is_recr = [il < h.n_layer and (il + 1) % step != 0 for il in range(h.n_layer_all)]
    h.mamba_state()


def graph(g: Context) -> None:
    """`llama_model_qwen3next::graph`: wanted rows are picked after the last norm."""
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_kv()
    inp_pos = g.build_inp_pos()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        g.expand(cur)
        if g.h.is_recr[il]:
            cur = _linear(g, w, inp_rs, cur, il)
        else:
            cur = _attention(g, w, inp_attn, cur, inp_pos, il)
        ffn_residual = g.add(cur, residual)
        cur = g.build_norm(ffn_residual, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(build_ffn(g, w, cur, il), ffn_residual)
    finish(g, cur, out_ids)


def finish(g: Context, cur: Tensor, out_ids: Tensor) -> None:
    """The last norm of all tokens, then the wanted rows and their logits."""
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = cur
    cur = g.get_rows(cur, out_ids)
    g.t_embd = cur
    g.t_logits = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    g.expand(g.t_logits)


def _attention(
    g: Context, w: Layer, inp: Attention, cur: Tensor, inp_pos: Tensor, il: int
) -> Tensor:
    """`build_layer_attn`: queries come with a gate."""
    h, n = g.h, g.n_tokens
    head, heads, heads_kv = h.head_v(), h.n_head(), h.n_head_kv()
    full, k, v = g.build_qkv(
        w, cur, head * 2, heads, heads_kv, il, head_k=head, head_v=head, reshape=False
    )
    full = g.reshape(full, head * 2, heads, n, 1)
    q = g.view_4d(full, head, heads, n, 1, *full.nb[1:])
    gate = g.view_4d(full, head, heads, n, 1, *full.nb[1:])
    k, v = g.reshape(k, head, heads_kv, n), g.reshape(v, head, heads_kv, n)
    q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
    k = g.rope(g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il), inp_pos)
    cur = g.build_attn(inp, None, None, q, k, v, il)
    gate = g.sigmoid(g.cont(gate, head * heads, n))
    return g.build_lora_mm(w.attn_output, g.mul(cur, gate), w.attn_output_s)


def _qkvz(g: Context, w: Layer, cur: Tensor) -> tuple[Tensor, Tensor]:
    """`build_qkvz`: older files have all in one matrix."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    if (qkv_w := w("attn_qkv.weight")) is not None:
        qkv = g.build_lora_mm(qkv_w, cur)
        qkv = g.reshape(qkv, qkv.ne[0], tokens, seqs)
        return qkv, g.build_lora_mm(w.attn_gate, cur)
    k_dim, k_heads, v_heads = h.ssm_d_state, h.ssm_n_group, h.ssm_dt_rank
    v_dim = h.ssm_d_inner // v_heads
    mixed = g.build_lora_mm(w.ssm_in, cur)
    each = v_dim * v_heads // k_heads
    mixed = g.reshape(mixed, 2 * k_dim + 2 * each, k_heads, tokens, seqs)
    query, key, value, z = (
        g.view_4d(mixed, size, k_heads, tokens, seqs, *mixed.nb[1:])
        for size in (k_dim, k_dim, each, each)
    )
    z = g.cont(z)
    flat_q = g.cont(query, k_dim * k_heads, tokens, seqs)
    flat_k = g.cont(key, k_dim * k_heads, tokens, seqs)
    flat_v = g.cont(value, v_dim * v_heads, tokens, seqs)
    return g.concat(g.concat(flat_q, flat_k, 0), flat_v, 0), z


def convolved(
    g: Context, w: Layer, inp: Copies, qkv: Tensor, il: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Queries, keys and values after the convolution, the states and where they are kept."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    k_dim, k_heads, v_heads = h.ssm_d_state, h.ssm_n_group, h.ssm_dt_rank
    v_dim = h.ssm_d_inner // v_heads
    conv_all, ssm_all = g.states().get(0, il), g.states().get(1, il)
    kernel = w("ssm_conv1d.weight")
    channels = h.ssm_d_inner + 2 * h.ssm_n_group * h.ssm_d_state
    conv_input = build_conv_state(g, inp, conv_all, qkv, kernel.ne[0], channels)
    state = g.build_rs(inp, ssm_all, h.n_embd_s, seqs)
    state = g.reshape(state, v_dim, v_dim, v_heads, seqs)
    conv = g.silu(g.ssm_conv(conv_input, kernel))
    nb1 = row_size(conv.type, k_dim * k_heads * 2 + v_dim * v_heads)
    q, k, v = (
        g.view_4d(conv, dim, heads, tokens, seqs, row_size(conv.type, dim), nb1, nb1 * tokens)
        for dim, heads in ((k_dim, k_heads), (k_dim, k_heads), (v_dim, v_heads))
    )
    return gdn_l2_norm(g, q), gdn_l2_norm(g, k), v, state, ssm_all


def gated_norm(g: Context, w: Layer, out: Tensor, z: Tensor, il: int) -> Tensor:
    """`build_norm_gated`, flat again."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    v_heads = h.ssm_dt_rank
    v_dim = h.ssm_d_inner // v_heads
    z = g.reshape(z, v_dim, v_heads, tokens, seqs)
    normed = g.build_norm(out, w.ssm_norm, None, "LLM_NORM_RMS", il)
    return g.reshape(g.mul(normed, g.silu(z)), v_dim * v_heads, tokens, seqs)


def _linear(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    """`build_layer_attn_linear`."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    k_dim, k_heads, v_heads = h.ssm_d_state, h.ssm_n_group, h.ssm_dt_rank
    qkv, z = _qkvz(g, w, cur)
    each = v_heads // k_heads
    mixed = g.reshape(g.build_lora_mm(w.ssm_ba, cur), 2 * each, k_heads, tokens, seqs)
    b = g.view_4d(mixed, each, k_heads, tokens, seqs, *mixed.nb[1:])
    a = g.view_4d(mixed, each, k_heads, tokens, seqs, *mixed.nb[1:])
    beta = g.sigmoid(g.cont(b))
    alpha = g.cont(a, v_heads, tokens, seqs)
    gate = g.mul(g.softplus(g.add(alpha, w("ssm_dt.bias"))), w("ssm_a"))
    beta = g.reshape(beta, 1, v_heads, tokens, seqs)
    gate = g.reshape(gate, 1, v_heads, tokens, seqs)
    q, k, v, state, ssm_all = convolved(g, w, inp, qkv, il)
    if k_heads != v_heads:
        q, k = (
            g.reshape(
                g.repeat_4d(
                    g.reshape(part, k_dim, 1, k_heads, tokens * seqs),
                    k_dim, each, k_heads, tokens * seqs,
                ),
                k_dim, k_heads * each, tokens, seqs,
            )
            for part in (q, k)
        )  # fmt: skip
    out = build_recurrent_attn(g, ssm_all, q, k, v, gate, beta, state, il)
    cur = g.build_lora_mm(w.ssm_out, gated_norm(g, w, out, z, il))
    return g.reshape(cur, g.n_embd, tokens * seqs)


def build_ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """`build_layer_ffn`: experts, and one that all tokens go through with a gate."""
    h = g.h
    if w.ffn_gate_inp is None:
        return silu(g, w, cur, il)
    moe_out = g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
        h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
        w_scale=h.real("expert_weights_scale"), gate_up_exps=w.ffn_gate_up_exps,
        up_exps_s=w.ffn_up_exps_s, gate_exps_s=w.ffn_gate_exps_s, down_exps_s=w.ffn_down_exps_s,
    )  # fmt: skip
    if w.ffn_up_shexp is None:
        return moe_out
    shared = shared_expert(g, w, cur, il)
    gate = g.sigmoid(g.build_lora_mm(w.ffn_gate_inp_shexp, cur))
    return g.add(moe_out, g.mul(shared, gate))
