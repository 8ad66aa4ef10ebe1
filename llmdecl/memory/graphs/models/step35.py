"""step35 (src/models/step35.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, gating, moe, output, rms

MIN_CLAMP = 1e-6


def clamps(h: HParams, key: str) -> list[bool]:
    """Which blocks clamp their activations."""
    given = h.get(key)
    if isinstance(given, tuple):
        flags = [isinstance(v, int | float) and v > MIN_CLAMP for v in given][: h.n_layer_all]
        return flags + [False] * (h.n_layer_all - len(flags))
    return [isinstance(given, int | float) and given > MIN_CLAMP] * h.n_layer_all


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(1)
    h.marks = list(zip(clamps(h, "swiglu_clamp_exp"), clamps(h, "swiglu_clamp_shexp"), strict=True))


def graph(g: Context) -> None:
    """`llama_model_step35::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        heads, heads_kv, n = h.n_head(il), h.n_head_kv(il), g.n_tokens
        head_k, head_v = h.head_k(), h.head_v()
        residual = cur
        cur = normed = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(
            w, cur, head_k, heads, heads_kv, il, head_k=head_k, head_v=head_v, reshape=False
        )
        q, k = g.reshape(q, head_k, heads, n), g.reshape(k, head_k, heads_kv, n)
        v = g.reshape(v, head_v, heads_kv, n)
        if w.attn_q_norm is not None:
            q = rms(g, q, w.attn_q_norm, il)
        if w.attn_k_norm is not None:
            k = rms(g, k, w.attn_k_norm, il)
        factors = None if h.is_swa[il] else g.rope_factors(il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        if w.attn_gate is not None:
            gate = g.sigmoid(g.build_lora_mm(w.attn_gate, normed))
            cur = g.mul(g.reshape(cur, head_v, heads, n), g.reshape(gate, 1, heads, n))
            cur = g.reshape(cur, head_v * heads, n)
        cur = g.build_lora_mm(w.attn_output, cur, w.attn_output_s)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        mark = h.marks[il]
        assert isinstance(mark, tuple)
        in_experts, in_shared = mark
        if w.ffn_gate_inp is None:
            cur = g.build_ffn(
                cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
                "SILU", il, clamped=in_shared,
            )  # fmt: skip
        else:
            moe_out = moe(
                g, w, cur, il, norm_w=h.flag("expert_weights_norm"), gate=gating(h), bias=True,
                clamped=in_experts,
            )  # fmt: skip
            shared = g.build_ffn(
                cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None,
                "SILU", il, clamped=in_shared,
            )  # fmt: skip
            cur = g.add(moe_out, shared)
        cur = g.add(cur, ffn_inp)
    g.t_h_nextn = cur
    output(g, g.get_rows(cur, out_ids))
