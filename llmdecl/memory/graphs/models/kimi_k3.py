"""kimi-k3 (src/models/kimi-k3.cpp)."""

from math import inf

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.deepseek2 import absorbed, compressed_kv, low_rank_q
from llmdecl.memory.graphs.models.delta_net_base import Copies, build_recurrent_attn, gdn_l2_norm
from llmdecl.memory.graphs.models.kimi_linear import convolutions
from llmdecl.memory.graphs.models.kimi_linear import hparams as recurrent_blocks
from llmdecl.memory.graphs.models.routed import gating


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    recurrent_blocks(h)
    h.head_v_full = h.number("attention.kv_lora_rank")


def graph(g: Context) -> None:
    """`llama_model_kimi_k3::graph`: every few blocks all results so far are mixed."""
    h = g.h
    every = h.number("attn_res.block_size")
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_k() if h.is_mla else g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    stack: Tensor | None = None
    for il in g.keep:
        w = g.layer(il)
        prefix = cur
        cur = _mix(g, stack, prefix, w.attn_res_score)
        banked = every > 0 and il % every == 0
        if banked:
            checkpoint = g.reshape(prefix, h.n_embd, 1, g.n_tokens)
            stack = checkpoint if stack is None else g.concat(stack, checkpoint, 1)
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        g.expand(cur)
        if h.is_recr[il]:
            cur = _delta_attention(g, w, inp_rs, cur, il)
        else:
            cur = _attention(g, w, inp_attn, cur, il)
        prefix = cur if banked else g.add(prefix, cur)
        cur = _mix(g, stack, prefix, w.ffn_res_score)
        cur = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if il < h.n_layer_dense_lead:
            cur = _situ(g, g.mul_mat(w.ffn_gate, cur), g.mul_mat(w.ffn_up, cur))
            cur = g.mul_mat(w.ffn_down, cur)
        else:
            cur = _latent_experts(g, w, cur, il)
        cur = g.add(prefix, cur)
    if every > 0:
        cur = _mix(g, stack, cur, g.weight("output_res_score.weight"))
    cur = g.get_rows(cur, out_ids)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def _mix(g: Context, stack: Tensor | None, cur: Tensor, score: Tensor) -> Tensor:
    """`res_mix`."""
    if stack is None:
        return cur
    count, n = stack.ne[1], g.n_tokens
    of_stack = g.sum_rows(g.mul(g.rms_norm(stack), score))
    of_stack = g.reshape(of_stack, count, n)
    of_cur = g.sum_rows(g.mul(g.rms_norm(cur), score))
    probs = g.soft_max(g.concat(of_stack, of_cur, 0))
    p_stack = g.cont(g.view_2d(probs, count, n, probs.nb[1]))
    p_cur = g.cont(g.view_2d(probs, 1, n, probs.nb[1]))
    out = g.of_shape("DSV4_HC_PRE", (stack.ne[0], stack.ne[2]), stack, p_stack)
    return g.add(out, g.mul(cur, p_cur))


def _situ(g: Context, gate: Tensor, up: Tensor) -> Tensor:
    act = g.mul(g.scale(g.tanh(g.scale(gate))), g.sigmoid(gate))
    if g.h.real("activation.situ_linear_beta") > 0:
        up = g.scale(g.tanh(g.scale(up)))
    return g.mul(act, up)


def bounded_gate(g: Context, w: Layer, cur: Tensor) -> Tensor:
    """How fast states decay, by element; with a bound where the header has one."""
    h, tokens, seqs, n = g.h, g.n_seq_tokens, g.n_seqs, g.n_tokens
    head, heads = h.number("kda.head_dim"), h.n_head()
    g1 = g.add(g.mul_mat(w.ssm_f_b, g.mul_mat(w.ssm_f_a, cur)), w("ssm_dt.bias"))
    slopes = g.reshape(w("ssm_a"), 1, heads, 1)
    if h.real("kda.gate_lower_bound", -inf) > -inf:
        g1 = g.mul(g.reshape(g1, head, heads, n), slopes)
        g1 = g.scale(g.sigmoid(g.scale(g1)))
    else:
        g1 = g.mul(g.reshape(g.softplus(g1), head, heads, n), slopes)
    return g.reshape(g1, head, heads, tokens, seqs)


def _delta_attention(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    """`build_kda_layer`."""
    h, tokens, seqs, n = g.h, g.n_seq_tokens, g.n_seqs, g.n_tokens
    head, heads = h.number("kda.head_dim"), h.n_head()
    q, k, v = convolutions(g, w, inp, cur, il)
    g1 = bounded_gate(g, w, cur)
    beta = g.sigmoid(g.reshape(g.mul_mat(w.ssm_beta, cur), 1, heads, tokens, seqs))
    flat = g.reshape(cur, cur.ne[0], tokens, seqs)
    states_all = g.states().get(1, il)
    state = g.build_rs(inp, states_all, h.n_embd_s, seqs)
    state = g.reshape(state, head, head, heads, seqs)
    q, k = gdn_l2_norm(g, q), gdn_l2_norm(g, k)
    out = g.cont(build_recurrent_attn(g, states_all, q, k, v, g1, beta, state, il))
    flat = g.reshape(flat, flat.ne[0], n)
    g2 = g.reshape(g.mul_mat(w.ssm_g, flat), head, heads, n)
    out = g.build_norm(g.reshape(out, head, heads, n), w.ssm_norm, None, "LLM_NORM_RMS", il)
    out = g.cont(g.mul(out, g.sigmoid(g2)), head * heads, n)
    return g.mul_mat(w.attn_output, out)


def _attention(g: Context, w: Layer, inp: Attention, cur: Tensor, il: int) -> Tensor:
    """`build_mla_layer`."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head_k = h.head_k_mla or h.head_k()
    head_v = h.head_v_mla or h.head_v()
    rotated = h.n_rot()
    plain = head_k - rotated
    inp_gate = cur
    q = low_rank_q(g, w, cur, il)
    kv, k_pe = compressed_kv(g, w, cur)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    if w("attn_k_b.weight") is not None and w("attn_v_b.weight") is not None:
        row = row_size(F32, head_k)
        q_nope = g.view_3d(q, plain, heads, n, row, row * heads)
        q_pe = g.view_3d(q, rotated, heads, n, row, row * heads)
        q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
        v = g.reshape(kv, kv.ne[0], 1, n)
        k = g.concat(v, k_pe, 0)
        out = g.build_attn(inp, None, None, q, k, v, il, v_mla=w.attn_v_b)
    else:
        q = g.reshape(q, head_k, heads, n)
        both = g.mul_mat(w.attn_kv_b, kv)
        row = row_size(F32, plain + head_v)
        k_nope = g.view_3d(both, plain, heads, n, row, row * heads)
        v = g.cont(g.view_3d(both, head_v, heads, n, row, row * heads))
        k = g.concat(g.repeat_4d(k_pe, rotated, heads, n), k_nope, 0)
        out = g.build_attn(inp, None, None, q, k, v, il)
    if w.attn_gate is not None:
        out = g.mul(out, g.sigmoid(g.mul_mat(w.attn_gate, inp_gate)))
    return g.mul_mat(w.attn_output, out)


def _latent_experts(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """`build_latent_moe`: experts work on a narrower row."""
    h = g.h
    routed = cur if w.ffn_routed_down is None else g.mul_mat(w.ffn_routed_down, cur)
    logits = g.mul_mat(w.ffn_gate_inp, cur)
    out = g.build_moe_ffn(
        routed, None, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, w("exp_probs_b.bias"),
        h.n_expert, h.n_expert_used(), "SITU", il, norm_w=h.flag("expert_weights_norm"),
        gating=gating(h), w_scale=h.real("expert_weights_scale"), probs_in=logits,
    )  # fmt: skip
    if w.ffn_routed_norm is not None:
        out = g.build_norm(out, w.ffn_routed_norm, None, "LLM_NORM_RMS", il)
    if w.ffn_routed_up is not None:
        out = g.mul_mat(w.ffn_routed_up, out)
    if w.ffn_gate_shexp is None:
        return out
    shared = _situ(g, g.mul_mat(w.ffn_gate_shexp, cur), g.mul_mat(w.ffn_up_shexp, cur))
    return g.add(out, g.mul_mat(w.ffn_down_shexp, shared))
