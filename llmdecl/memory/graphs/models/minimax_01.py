"""minimax-01 (src/models/minimax-01.cpp)."""

from dataclasses import dataclass

from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import output
from llmdecl.memory.graphs.models.delta_net_base import Copies
from llmdecl.memory.graphs.models.routed import experts


def hparams(h: HParams) -> None:
    """`load_arch_hparams`: linear attention but in every eighth block."""
    given = h.get("attention.recurrent_layers")
    if given is not None:
        flags = given if isinstance(given, tuple) else (given,) * h.n_layer_all
        found = [bool(value) for value in flags][: h.n_layer_all]
        h.is_recr = found + [False] * (h.n_layer_all - len(found))
    else:
        step = h.number("full_attention_interval", 8)
        h.is_recr = [il < h.n_layer and (il + 1) % step != 0 for il in range(h.n_layer_all)]
    h.n_embd_r = 0
    h.n_embd_s = h.head_k_full**2 * h.n_head()


@dataclass(frozen=True, slots=True)
class Decays:
    """`llm_graph_input_la`."""

    slopes: Tensor
    q: Tensor
    k: Tensor
    diagonal: Tensor


def graph(g: Context) -> None:
    """`llama_model_minimax_01::graph`."""
    h, tokens, seqs, heads = g.h, g.n_seq_tokens, g.n_seqs, g.h.n_head()
    cur = g.build_inp_embd()
    inp_rs = g.build_rs_inp()
    inp_attn = g.build_attn_inp_kv()
    inp_pos = g.build_inp_pos()
    out_ids = g.build_inp_out_ids()
    decays = Decays(
        g.input(F32, heads),
        g.input(F32, 1, heads, tokens, seqs),
        g.input(F32, 1, heads, tokens, seqs),
        g.input(F32, tokens, tokens, heads, seqs),
    )
    for il in g.keep:
        w = g.layer(il)
        cur = residual = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = _linear(g, w, inp_rs, decays, cur, il)
        else:
            q, k, v = g.build_qkv(w, cur, h.head_v(), heads, h.n_head_kv(), il)
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
            cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        if il == g.n_layer - 1:
            cur, residual = g.get_rows(cur, out_ids), g.get_rows(residual, out_ids)
        ffn_inp = g.add(cur, g.scale(residual))
        cur = residual = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = experts(g, w, cur, il, norm_w=True, biased=True)
        cur = g.add(cur, g.scale(residual))
    output(g, cur)


def _linear(g: Context, w: Layer, inp: Copies, decays: Decays, cur: Tensor, il: int) -> Tensor:
    """Lightning attention."""
    h, tokens, seqs = g.h, g.n_seq_tokens, g.n_seqs
    head, heads = h.head_v(), h.n_head()
    g.expand(g.build_rs(inp, g.states().get(0, il), h.n_embd_r, seqs))
    slope_rate = g.scale(decays.slopes)
    cur = g.reshape(cur, cur.ne[0], tokens, 1, seqs)
    qkv = g.silu(g.build_lora_mm(w.attn_qkv, cur))
    qkv = g.reshape(qkv, head * 3, heads, tokens, seqs)
    q, k, v = (g.view_4d(qkv, head, heads, tokens, seqs, *qkv.nb[1:]) for _ in range(3))
    states_all = g.states().get(1, il)
    old = g.reshape(g.build_rs(inp, states_all, h.n_embd_s, seqs), head, head, heads, seqs)
    q_decay, k_decay, diagonal = (
        g.exp(g.scale(part)) for part in (decays.q, decays.k, decays.diagonal)
    )
    across = g.mul_mat(old, g.permute(g.mul(q, q_decay), 0, 2, 1, 3))
    qk = g.mul_mat(g.permute(k, 0, 2, 1, 3), g.permute(q, 0, 2, 1, 3))
    qk = g.mul(qk, diagonal)
    v_trans = g.cont(g.permute(v, 1, 2, 0, 3))
    out = g.add(across, g.mul_mat(v_trans, qk))
    g.expand(out)
    block_decay = g.reshape(g.exp(g.scale(slope_rate)), 1, 1, heads)
    old = g.mul(old, block_decay)
    k_after = g.cont(g.permute(g.mul(k, k_decay), 1, 2, 0, 3))
    new = g.add(old, g.mul_mat(k_after, v_trans))
    g.expand(g.cpy(new, g.view_1d(states_all, h.n_embd_s * seqs)))
    out = g.cont(g.permute(out, 0, 2, 1, 3))
    out = g.reshape(out, out.ne[0] * out.ne[1], out.ne[2], 1, out.ne[3])
    normed = g.build_norm(out, w.attn_norm_2, None, "LLM_NORM_RMS", il)
    gate = g.sigmoid(g.build_lora_mm(w.attn_gate, cur))
    cur = g.build_lora_mm(w.attn_output, g.mul(gate, normed))
    return g.reshape(cur, cur.ne[0], tokens * seqs)
