"""Mamba's and Mamba 2's blocks (`llm_build_mamba_base`, src/models/mamba-base.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention

RecurrentInput = tuple[Tensor, Tensor]


UNGROUPED = ("mamba", "jamba")
"""Architectures that do not read `ssm.group_count`."""


def hparams(h: HParams) -> None:
    """States of every block."""
    if h.arch in UNGROUPED:
        h.ssm_n_group = 0
    h.mamba_state()


def recurrent_without_heads(h: HParams) -> None:
    """Blocks without key heads are recurrent."""
    hparams(h)
    h.is_recr = [il < h.n_layer and h.n_head_kv(il) == 0 for il in range(h.n_layer_all)]


def hybrid_inputs(g: Context) -> tuple[RecurrentInput, Attention]:
    """`build_inp_mem_hybrid`."""
    return g.build_rs_inp(), g.build_attn_inp_kv()


def mamba_layer(g: Context, inp: RecurrentInput, cur: Tensor, il: int) -> Tensor:
    """`build_mamba_layer`."""
    h, w = g.h, g.layer(il)
    d_conv, d_inner, d_state, rank = h.ssm_d_conv, h.ssm_d_inner, h.ssm_d_state, h.ssm_dt_rank
    n_seqs, n_seq_tokens = g.n_seqs, g.n_seq_tokens
    states = g.states()
    conv_states, ssm_states = states.get(0, il), states.get(1, il)
    conv = g.build_rs(inp, conv_states, h.n_embd_r, n_seqs)
    conv = g.reshape(conv, d_conv - 1, d_inner, n_seqs)
    cur = g.reshape(cur, cur.ne[0], n_seq_tokens, n_seqs)
    xz = g.build_lora_mm(w.ssm_in, cur, w.ssm_in_s)
    x = g.view_3d(xz, d_inner, xz.ne[1], xz.ne[2], xz.nb[1], xz.nb[2])
    z = g.view_3d(xz, d_inner, xz.ne[1], xz.ne[2], xz.nb[1], xz.nb[2])
    conv_x = g.concat(conv, g.transpose(x), 0)
    last = g.view_3d(conv_x, d_conv - 1, d_inner, n_seqs, conv_x.nb[1], conv_x.nb[2])
    g.expand(g.cpy(last, g.view_1d(conv_states, (d_conv - 1) * d_inner * n_seqs)))
    x = g.silu(g.add(g.ssm_conv(conv_x, w.ssm_conv1d), w.ssm_conv1d_b))
    x_db = g.build_lora_mm(w.ssm_x, x)
    dt = g.view_3d(x_db, rank, n_seq_tokens, n_seqs, x_db.nb[1], x_db.nb[2])
    group = d_state, 1, n_seq_tokens, n_seqs, d_state * x_db.nb[0], x_db.nb[1], x_db.nb[2]
    b, c = g.view_4d(x_db, *group), g.view_4d(x_db, *group)
    norms = w.ssm_dt_norm, w.ssm_b_norm, w.ssm_c_norm
    if h.flag("ssm.dt_b_c_rms") or None not in norms:
        dt = g.build_norm(dt, norms[0], None, "LLM_NORM_RMS", il)
        b = g.build_norm(b, norms[1], None, "LLM_NORM_RMS", il)
        c = g.build_norm(c, norms[2], None, "LLM_NORM_RMS", il)
    else:
        dt = g.cont(dt)
    dt = g.add(g.build_lora_mm(w.ssm_dt, dt), w.ssm_dt_b)
    cur = x
    x = g.reshape(x, 1, d_inner, n_seq_tokens, n_seqs)

    def rows(stored: Tensor, ids: Tensor) -> Tensor:
        ssm = g.reshape(stored, d_state, 1, d_inner, states.size)
        return g.ssm_scan(ssm, x, dt, w("ssm_a"), b, c, ids)

    y_ssm = g.build_rs(inp, ssm_states, h.n_embd_s, n_seqs, rows)
    count = d_state * d_inner * n_seqs
    g.expand(g.cpy(g.view_1d(y_ssm, count), g.view_1d(ssm_states, count)))
    y = g.view_3d(y_ssm, d_inner, n_seq_tokens, n_seqs, x.nb[2], x.nb[3])
    y = g.add(y, g.mul(cur, w("ssm_d")))
    y = g.glu(g.cont(z), y)
    cur = g.build_lora_mm(w.ssm_out, y, w.ssm_out_s)
    return g.reshape(cur, cur.ne[0], n_seq_tokens * n_seqs)


def mamba2_layer(g: Context, inp: RecurrentInput, cur: Tensor, il: int) -> Tensor:
    """`build_mamba2_layer`, without snapshots for rollback."""
    h, w = g.h, g.layer(il)
    d_conv, d_inner, d_state, groups = h.ssm_d_conv, h.ssm_d_inner, h.ssm_d_state, h.ssm_n_group
    n_head, n_seqs, n_seq_tokens = h.ssm_dt_rank, g.n_seqs, g.n_seq_tokens
    head = d_inner // n_head
    width = d_inner + 2 * groups * d_state
    states = g.states()
    conv_states, ssm_states = states.get(0, il), states.get(1, il)
    conv = g.build_rs(inp, conv_states, h.n_embd_r, n_seqs)
    conv = g.reshape(conv, d_conv - 1, width, n_seqs)
    mixed = g.build_lora_mm(w.ssm_in, cur, w.ssm_in_s)
    mixed = g.reshape(mixed, mixed.ne[0], n_seq_tokens, n_seqs)
    b1, b2 = mixed.nb[1], mixed.nb[2]
    z = g.view_4d(mixed, head, n_head, n_seq_tokens, n_seqs, head * mixed.nb[0], b1, b2)
    x_b_c = g.view_3d(mixed, width, n_seq_tokens, n_seqs, b1, b2)
    dt = g.view_3d(mixed, n_head, n_seq_tokens, n_seqs, b1, b2)
    conv_x = g.concat(conv, g.transpose(x_b_c), 0)
    last = g.view_3d(conv_x, d_conv - 1, width, n_seqs, conv_x.nb[1], conv_x.nb[2])
    kept = g.view_2d(conv_states, (d_conv - 1) * width, n_seqs, conv_states.nb[1])
    g.expand(g.cpy(last, kept))
    x_b_c = g.ssm_conv(conv_x, w.ssm_conv1d)
    if (bias := w.ssm_conv1d_b) is not None:
        x_b_c = g.add(x_b_c, bias)
    x_b_c = g.silu(x_b_c)
    b0, b1, b2 = x_b_c.nb[:3]
    x = g.view_4d(x_b_c, head, n_head, n_seq_tokens, n_seqs, head * b0, b1, b2)
    group = d_state, groups, n_seq_tokens, n_seqs, d_state * b0, b1, b2
    b, c = g.view_4d(x_b_c, *group), g.view_4d(x_b_c, *group)
    dt = g.add(g.cont(dt), w.ssm_dt_b)

    def rows(stored: Tensor, ids: Tensor) -> Tensor:
        ssm = g.reshape(stored, d_state, head, n_head, ssm_states.ne[1])
        return g.ssm_scan(ssm, x, dt, w("ssm_a"), b, c, ids)

    y_ssm = g.build_rs(inp, ssm_states, h.n_embd_s, n_seqs, rows)
    d = d_state * d_inner
    row = row_size(y_ssm.type, d)
    g.expand(
        g.cpy(
            g.view_3d(y_ssm, d, n_seqs, 1, row, row * n_seqs),
            g.view_3d(ssm_states, d, n_seqs, 1, ssm_states.nb[1], states.size * row),
        )
    )
    stride = x.nb[1]
    y = g.view_4d(
        y_ssm, head, n_head, n_seq_tokens, n_seqs,
        stride, n_head * stride, n_seq_tokens * n_head * stride,
    )  # fmt: skip
    y = g.add(y, g.mul(x, w("ssm_d")))
    y = g.glu(g.cont(z), y)
    if (norm := w.ssm_norm) is not None:
        y = g.reshape(y, d_inner // groups, groups, n_seq_tokens, n_seqs)
        y = g.build_norm(y, norm, None, "LLM_NORM_RMS", il)
    y = g.reshape(y, d_inner, n_seq_tokens * n_seqs)
    return g.build_lora_mm(w.ssm_out, y, w.ssm_out_s)
