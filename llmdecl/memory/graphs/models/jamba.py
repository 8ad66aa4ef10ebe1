"""jamba: Mamba between attention, experts in some blocks (src/models/jamba.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, silu, wanted
from llmdecl.memory.graphs.models.mamba_base import hybrid_inputs, mamba_layer


def graph(g: Context) -> None:
    """`llama_model_jamba::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs, inp_attn = hybrid_inputs(g)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        if h.n_head_kv(il) == 0:
            cur = mamba_layer(g, inp_rs, cur, il)
        else:
            q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(il), il)
            cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(residual, cur)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = silu(g, w, cur, il)
        else:
            cur = g.build_moe_ffn(
                cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=False,
                w_scale=h.real("expert_weights_scale"),
            )  # fmt: skip
        cur = g.add(ffn_inp, cur)
    output(g, cur)
