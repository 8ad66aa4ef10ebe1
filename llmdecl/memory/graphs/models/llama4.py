"""llama4 (src/models/llama4.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output, shared_expert, wanted

NO_KQ_NORM_EXPERTS = 128
"""The 17B model with 128 experts norms neither queries nor keys."""


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    if h.get("attention.sliding_window") is not None and not h.number("attention.sliding_window"):
        h.no_rope(h.n_layer)
    else:
        h.window(4, size=8192)
        h.no_rope(4)


def graph(g: Context) -> None:
    """`llama_model_llama4::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    scale = g.build_inp_attn_scale()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        if h.marks[il]:
            q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
            if h.n_expert != NO_KQ_NORM_EXPERTS:
                q, k = g.rms_norm(q), g.rms_norm(k)
        else:
            q = g.mul(q, scale)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        normed = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = g.build_ffn(
                normed, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
                "SILU", il,
            )  # fmt: skip
        else:
            moe_out = g.build_moe_ffn(
                normed, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=False, gating="SIGMOID",
                w_scale=h.real("expert_weights_scale"),
            )  # fmt: skip
            cur = g.add(moe_out, shared_expert(g, w, normed, il, scaled=False))
        cur = g.add(cur, ffn_inp)
    output(g, cur)
