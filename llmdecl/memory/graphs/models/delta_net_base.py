"""The gated delta net, fused as it always is at this version (src/models/delta-net-base.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context

Copies = tuple[Tensor, Tensor]
"""Inputs of recurrent states (`build_rs_inp`)."""


def gdn_l2_norm(g: Context, x: Tensor) -> Tensor:
    """`build_gdn_l2_norm`."""
    return g.scale(g.rms_norm(x))


def build_conv_state(
    g: Context, inp: Copies, states_all: Tensor, qkv: Tensor, kernel: int, channels: int
) -> Tensor:
    """The last tokens before the batch with the batch, and what is kept of both."""
    n_seqs = g.n_seqs
    states = g.build_rs(inp, states_all, g.h.n_embd_r, n_seqs)
    states = g.reshape(states, kernel - 1, channels, n_seqs)
    conv_input = g.concat(states, g.transpose(qkv), 0)
    last = g.view_3d(conv_input, kernel - 1, channels, n_seqs, *conv_input.nb[1:3])
    count = (kernel - 1) * channels
    g.expand(g.cpy(last, g.view_2d(states_all, count, n_seqs, states_all.nb[1])))
    return conv_input


def fused_delta_net(
    g: Context,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gate: Tensor,
    beta: Tensor,
    state: Tensor,
    il: int,
) -> tuple[Tensor, Tensor]:
    """Outputs and new states (`build_delta_net_fused`)."""
    s_v, heads, n_tokens, n_seqs = v.ne[0], v.ne[1], q.ne[2], q.ne[3]
    result = g.gated_delta_net(q, k, v, gate, beta, state)
    g.fused.append(("GDN_AR" if n_tokens == 1 else "GDN_CH", result, il))
    kind = result.type
    out = g.view_4d(
        result, s_v, heads, n_tokens, n_seqs,
        row_size(kind, s_v), row_size(kind, s_v * heads), row_size(kind, s_v * heads * n_tokens),
    )  # fmt: skip
    new_state = g.view_4d(
        result, s_v, s_v, heads, n_seqs,
        row_size(kind, s_v), row_size(kind, s_v * s_v), row_size(kind, s_v * s_v * heads),
    )  # fmt: skip
    return out, new_state


def build_recurrent_attn(
    g: Context,
    states_all: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    gate: Tensor,
    beta: Tensor,
    state: Tensor,
    il: int,
) -> Tensor:
    """Outputs; new states go to the cache."""
    out, new_state = fused_delta_net(g, q, k, v, gate, beta, state, il)
    row = g.view_2d(states_all, g.h.n_embd_s, v.ne[3], states_all.nb[1])
    g.expand(g.cpy(new_state, row))
    return out
