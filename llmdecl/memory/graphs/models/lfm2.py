"""lfm2 and lfm2moe: short convolutions between attention (src/models/lfm2.cpp, lfm2moe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention
from llmdecl.memory.graphs.models.common import silu, wanted
from llmdecl.memory.graphs.models.mamba_base import RecurrentInput

GATING = {1: "SOFTMAX", 2: "SIGMOID", 3: "SOFTMAX_WEIGHT", 4: "SQRT_SOFTPLUS"}


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: blocks without key heads convolve."""
    h.is_recr = [il < h.n_layer and h.n_head_kv(il) == 0 for il in range(h.n_layer_all)]
    h.n_embd_r = h.n_embd * (h.number("shortconv.l_cache") - 1)
    if h.arch == "lfm2":
        h.n_layer_dense_lead = h.n_layer
        if h.number("attention.sliding_window") > 0:
            h.swa_type, h.n_swa = True, h.number("attention.sliding_window")
            h.is_swa = [il < h.n_layer and not h.is_recr[il] for il in range(h.n_layer_all)]


def graph(g: Context) -> None:
    """`llama_model_lfm2::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_kv()
    if inp_attn.swa is not None:  # build_inp_mem_hybrid_iswa has no rotations
        for one in (inp_attn.full, inp_attn.swa):
            assert one is not None
            one.k_rot = one.v_rot = None
    inp_pos = g.build_inp_pos()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        before = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = _convolution(g, inp_rs, cur, il)
        else:
            cur = _attention(g, inp_attn, inp_pos, cur, il)
        cur, before = wanted(g, il, out_ids, cur, before)
        cur = g.add(before, cur)
        normed = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(cur, _feed_forward(g, normed, il))
    cur = g.build_norm(
        cur, g.weight("token_embd_norm.weight", h.n_layer_all), None, "LLM_NORM_RMS", -1
    )
    g.t_embd = cur
    if not g.embeds():
        cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
        g.t_logits = cur
    g.expand(cur)


def _feed_forward(g: Context, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    if il < h.n_layer_dense_lead:
        return silu(g, w, cur, il)
    return g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, w.exp_probs_b_b,
        h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
        w_scale=h.real("expert_weights_scale"), gating=GATING[h.number("expert_gating_func", 1)],
    )  # fmt: skip


def _attention(g: Context, inp: Attention, inp_pos: Tensor, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(il), il)
    q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il)
    k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il)
    q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
    return g.build_attn(inp, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)


def _convolution(g: Context, inp: RecurrentInput, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    n_seqs = g.n_seqs
    d_conv = h.number("shortconv.l_cache") - 1
    cur = g.reshape(cur, cur.ne[0], g.n_seq_tokens, n_seqs)
    bcx = g.build_lora_mm(w("shortconv.in_proj.weight"), cur)
    part = bcx.ne[0] // 3, bcx.ne[1], bcx.ne[2], bcx.nb[1], bcx.nb[2]
    b, c, x = g.view_3d(bcx, *part), g.view_3d(bcx, *part), g.view_3d(bcx, *part)
    bx = g.transpose(g.mul(b, x))
    state = g.states().get(0, il)
    conv = g.build_rs(inp, state, h.n_embd_r, n_seqs)
    conv = g.reshape(conv, d_conv, h.n_embd, n_seqs)
    if h.causal:
        bx = g.concat(conv, bx, 0)
    else:
        pad = d_conv // 2
        left = g.cont(g.view_3d(conv, pad, h.n_embd, n_seqs, conv.nb[1], conv.nb[2]))
        bx = g.pad(g.concat(left, bx, 0), pad)
    last = g.view_3d(bx, d_conv, bx.ne[1], bx.ne[2], bx.nb[1], bx.nb[2])
    g.expand(g.cpy(last, g.view_2d(state, d_conv * h.n_embd, n_seqs, state.nb[1])))
    y = g.mul(c, g.ssm_conv(bx, w("shortconv.conv.weight")))
    y = g.build_lora_mm(w("shortconv.out_proj.weight"), y)
    return g.reshape(y, y.ne[0], g.n_seq_tokens * n_seqs)
