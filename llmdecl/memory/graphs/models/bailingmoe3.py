"""bailingmoe3: Ling 3 (src/models/bailingmoe3.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.deepseek2 import absorbed, compressed_kv, low_rank_q
from llmdecl.memory.graphs.models.delta_net_base import Copies, build_recurrent_attn, gdn_l2_norm
from llmdecl.memory.graphs.models.kimi_linear import convolutions, delta_state
from llmdecl.memory.graphs.models.kimi_linear import hparams as recurrent_blocks
from llmdecl.memory.graphs.models.routed import clamped_experts_or_dense, clamps, gating, mrope


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    recurrent_blocks(h)
    delta_state(h)
    mrope(h)
    h.marks = list(zip(clamps(h, "swiglu_clamp_exp"), clamps(h, "swiglu_clamp_shexp"), strict=True))


def graph(g: Context) -> None:
    """`llama_model_bailingmoe3::graph`: wanted rows are picked after the last norm."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_k()
    inp_pos = g.build_inp_pos()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = _delta_attention(g, w, inp_rs, cur, il)
        else:
            cur = _attention(g, w, inp_attn, cur, inp_pos, il)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(clamped_experts_or_dense(g, w, cur, il, how=gating(h)), ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = cur
    cur = g.get_rows(cur, out_ids)
    g.t_embd = cur
    g.t_logits = g.mul_mat(g.output(), cur)
    g.expand(g.t_logits)


def _delta_attention(g: Context, w: Layer, inp: Copies, cur: Tensor, il: int) -> Tensor:
    h, tokens, seqs, n = g.h, g.n_seq_tokens, g.n_seqs, g.n_tokens
    head, heads = h.number("kda.head_dim"), h.n_head()
    q, k, v = convolutions(g, w, inp, cur, il)
    gate = g.reshape(g.add(g.mul_mat(w.ssm_f_a, cur), w("ssm_dt.bias")), head, heads, n)
    gate = g.scale(g.sigmoid(g.mul(gate, g.reshape(w("ssm_a"), 1, heads, 1))))
    gate = g.reshape(gate, head, heads, tokens, seqs)
    beta = g.sigmoid(g.reshape(g.mul_mat(w.ssm_beta, cur), 1, heads, tokens, seqs))
    q, k = gdn_l2_norm(g, q), gdn_l2_norm(g, k)
    states_all = g.states().get(1, il)
    state = g.build_rs(inp, states_all, h.n_embd_s, seqs)
    state = g.reshape(state, head, head, heads, seqs)
    out = g.cont(build_recurrent_attn(g, states_all, q, k, v, gate, beta, state, il))
    out_gate = g.reshape(g.mul_mat(w.ssm_g_a, cur), head, heads, n)
    out = g.build_norm(g.reshape(out, head, heads, n), w.ssm_norm, None, "LLM_NORM_RMS", il)
    out = g.mul(out, g.sigmoid(out_gate))
    return g.mul_mat(w.attn_output, g.cont(out, head * heads, n))


def _attention(
    g: Context, w: Layer, inp: Attention, cur: Tensor, inp_pos: Tensor, il: int
) -> Tensor:
    """Latent attention with a gate a head."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    head_k, head_v, rotated = h.head_k_mla, h.head_v_mla, h.n_rot()
    attn_input = cur
    q = low_rank_q(g, w, cur, il)
    row = row_size(F32, head_k)
    q_nope = g.view_3d(q, head_k - rotated, heads, n, row, row * heads)
    q_pe = g.view_3d(q, rotated, heads, n, row, row * heads)
    kv, k_pe = compressed_kv(g, w, cur)
    q_pe, k_pe = g.rope(q_pe, inp_pos), g.rope(k_pe, inp_pos)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    q = g.concat(absorbed(g, w, q_nope), q_pe, 0)
    v = g.reshape(kv, kv.ne[0], 1, n)
    k = g.concat(v, k_pe, 0)
    cur = g.build_attn(inp, None, None, q, k, v, il, v_mla=w.attn_v_b)
    gate = g.sigmoid(g.reshape(g.mul_mat(w.attn_gate, attn_input), 1, heads, n))
    cur = g.mul(g.reshape(cur, head_v, heads, n), gate)
    return g.mul_mat(w.attn_output, g.cont(cur, head_v * heads, n))
