"""bert, nomic-bert, nomic-bert-moe, jina-bert-v2 and jina-bert-v3 (src/models/bert.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import silu, wanted

ROTATED = ("nomic-bert", "nomic-bert-moe", "jina-bert-v3")


def graph(g: Context) -> None:
    """`llama_model_bert::graph`."""
    h = g.h
    inp_pos = g.build_inp_pos()
    cur = g.build_inp_embd()
    if (types := g.weight("token_types.weight")) is not None:
        cur = g.add(cur, g.view_1d(types, g.n_embd))
    if g.arch == "bert":
        cur = g.add(g.get_rows(g.weight("position_embd.weight"), inp_pos), cur)
    norm, bias = g.weight("token_embd_norm.weight"), g.weight("token_embd_norm.bias")
    cur = g.build_norm(cur, norm, bias, "LLM_NORM", 0)
    inp_attn = g.build_attn_inp_no_cache()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        before = cur
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q = _normed(g, q, w.attn_q_norm, w.attn_q_norm_b, il)
        k = _normed(g, k, w.attn_k_norm, w.attn_k_norm_b, il)
        if g.arch in ROTATED:
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, before = wanted(g, il, out_ids, cur, before)
        cur = g.add(cur, before)
        cur = g.build_norm(cur, w.attn_output_norm, w.attn_output_norm_b, "LLM_NORM", il)
        if w.attn_norm_2 is not None:
            cur = g.add(cur, before)
            cur = g.build_norm(cur, w.attn_norm_2, w.attn_norm_2_b, "LLM_NORM", il)
        cur = g.add(_feed_forward(g, cur, il), cur)
        cur = g.build_norm(cur, w.layer_output_norm, w.layer_output_norm_b, "LLM_NORM", il)
    g.t_embd = cur
    g.expand(cur)


def _normed(g: Context, cur: Tensor, norm: Tensor | None, bias: Tensor | None, il: int) -> Tensor:
    if norm is None:
        return cur
    head, count, tokens, _ = cur.ne
    cur = g.reshape(cur, head * count, tokens)
    cur = g.build_norm(cur, norm, bias, "LLM_NORM", il)
    return g.reshape(cur, head, count, tokens)


def _feed_forward(g: Context, cur: Tensor, il: int) -> Tensor:
    h, w = g.h, g.layer(il)
    every = h.number("moe_every_n_layers")
    if every > 0 and il % every == 1:
        return g.build_moe_ffn(
            cur, w.ffn_gate_inp, w.ffn_up_exps, None, w.ffn_down_exps, None,
            h.n_expert, h.n_expert_used(), "GELU", il, norm_w=False,
            w_scale=h.real("expert_weights_scale"),
        )  # fmt: skip
    if g.arch in ("bert", "nomic-bert-moe", "jina-bert-v3"):
        return g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, None, None, w.ffn_down, w.ffn_down_b, "GELU", il,
            parallel=False,
        )  # fmt: skip
    if g.arch == "jina-bert-v2":
        both = w.ffn_gate is None and w.ffn_up.ne[1] != h.n_ff()
        return g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, None, w.ffn_down, w.ffn_down_b,
            "GEGLU" if both else "GELU", il,
        )  # fmt: skip
    return silu(g, w, cur, il)
