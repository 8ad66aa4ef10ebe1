"""plamo2: Mamba with heads between attention (src/models/plamo2.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Attention
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.mamba_base import RecurrentInput, hybrid_inputs

SMALLEST_DT = 64


def graph(g: Context) -> None:
    """`llama_model_plamo2::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_rs, inp_attn = hybrid_inputs(g)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = _mamba(g, inp_rs, cur, il)
        else:
            cur = attention_of_views(g, inp_attn, inp_pos, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = post_norms(g, cur, residual, il)
    output(g, cur)


def post_norms(g: Context, cur: Tensor, residual: Tensor, il: int) -> Tensor:
    """Norms behind attention and feed-forward network, which plamo3 has too."""
    w = g.layer(il)
    cur = g.build_norm(cur, w("post_attention_norm"), None, "LLM_NORM_RMS", il)
    residual = g.add(cur, residual)
    cur = g.build_norm(residual, w.ffn_norm, None, "LLM_NORM_RMS", il)
    cur = g.build_ffn(
        cur, w.ffn_up, None, None, None, w.ffn_down, None, "SWIGLU", il, parallel=False
    )
    cur = g.build_norm(cur, w("post_ffw_norm"), None, "LLM_NORM_RMS", il)
    return g.add(cur, residual)


def attention_of_views(g: Context, inp: Attention, inp_pos: Tensor, cur: Tensor, il: int) -> Tensor:
    """`build_plamo2_attn_layer`: queries, keys and values are views of one product."""
    h, w = g.h, g.layer(il)
    qkv = g.build_lora_mm(w("attn_qkv.weight"), cur)
    heads, heads_kv = h.n_head(il), h.n_head_kv(il)
    q, k, v = (
        g.view_3d(qkv, head, count, g.n_tokens, 4 * head, qkv.nb[1])
        for head, count in (
            (h.head_k_full, heads), (h.head_k_full, heads_kv), (h.head_v_full, heads_kv)
        )
    )  # fmt: skip
    q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
    k = g.rope(g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il), inp_pos)
    return g.build_attn(inp, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)


def _mamba(g: Context, inp: RecurrentInput, cur: Tensor, il: int) -> Tensor:
    """`build_plamo2_mamba_layer`."""
    h, w = g.h, g.layer(il)
    d_conv, d_inner, d_state, heads = h.ssm_d_conv, h.ssm_d_inner, h.ssm_d_state, h.ssm_dt_rank
    head = d_inner // heads
    n_seqs, n_seq_tokens = g.n_seqs, g.n_seq_tokens
    states = g.states()
    conv_states, ssm_states = states.get(0, il), states.get(1, il)
    conv = g.build_rs(inp, conv_states, h.n_embd_r, n_seqs)
    conv = g.reshape(conv, d_conv - 1, d_inner, n_seqs)
    cur = g.reshape(cur, cur.ne[0], n_seq_tokens, n_seqs)
    zx = g.permute(g.build_lora_mm(w.ssm_in, cur), 0, 2, 1, 3)
    zx = g.cont(zx, head * 2, heads, n_seq_tokens, n_seqs)
    part = head, heads, n_seq_tokens, n_seqs, *zx.nb[1:]
    x = g.cont(g.view_4d(zx, *part), head * heads, n_seq_tokens, n_seqs)
    z = g.view_4d(zx, *part)
    conv_x = g.concat(conv, g.transpose(x), 0)
    last = g.view_3d(conv_x, d_conv - 1, d_inner, n_seqs, conv_x.nb[1], conv_x.nb[2])
    g.expand(g.cpy(last, g.view_1d(conv_states, (d_conv - 1) * d_inner * n_seqs)))
    x = g.silu(g.ssm_conv(conv_x, w.ssm_conv1d))
    mixed = g.build_lora_mm(w.ssm_x, x)
    strides = mixed.nb[1], mixed.nb[2]
    b = g.view_3d(mixed, d_state, n_seq_tokens, n_seqs, *strides)
    c = g.view_3d(mixed, d_state, n_seq_tokens, n_seqs, *strides)
    dt = g.view_3d(mixed, max(SMALLEST_DT, h.n_embd // 16), n_seq_tokens, n_seqs, *strides)
    b = g.build_norm(b, w("ssm_b_norm"), None, "LLM_NORM_RMS", il)
    c = g.build_norm(c, w("ssm_c_norm"), None, "LLM_NORM_RMS", il)
    dt = g.build_norm(dt, w("ssm_dt_norm"), None, "LLM_NORM_RMS", il)
    dt = g.add(g.build_lora_mm(w.ssm_dt, dt), w.ssm_dt_b)
    a = g.reshape(w("ssm_a"), 1, heads)
    rows_of = 4 * head, 4 * head * heads, 4 * head * heads * n_seq_tokens
    x = g.view_4d(x, head, heads, n_seq_tokens, n_seqs, *rows_of)
    b = g.view_4d(b, d_state, 1, n_seq_tokens, n_seqs, d_state * b.nb[0], b.nb[1], b.nb[2])
    c = g.view_4d(c, d_state, 1, n_seq_tokens, n_seqs, d_state * c.nb[0], c.nb[1], c.nb[2])

    def rows(stored: Tensor, ids: Tensor) -> Tensor:
        ssm = g.reshape(stored, d_state, head, heads, states.size)
        return g.ssm_scan(ssm, x, dt, a, b, c, ids)

    y_ssm = g.build_rs(inp, ssm_states, h.n_embd_s, n_seqs, rows)
    count = heads * head * d_state * n_seqs
    g.expand(g.cpy(g.view_1d(y_ssm, count), g.view_1d(ssm_states, count)))
    y = g.view_4d(y_ssm, head, heads, n_seq_tokens, n_seqs, *rows_of)
    y = g.add(y, g.mul(x, g.reshape(w("ssm_d"), 1, heads)))
    y = g.glu(g.cont(z), y)
    y = g.view_3d(y, head * heads, n_seq_tokens, n_seqs, y.nb[2], y.nb[3])
    cur = g.build_lora_mm(w.ssm_out, y)
    return g.reshape(cur, cur.ne[0], n_seq_tokens * n_seqs)
