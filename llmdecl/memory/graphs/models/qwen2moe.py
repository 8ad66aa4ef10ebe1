"""qwen2moe (src/models/qwen2moe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import output, shared_expert, wanted


def graph(g: Context) -> None:
    """`llama_model_qwen2moe::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        moe_out = g.build_moe_ffn(
            cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
            h.n_expert, h.n_expert_used(), "SILU", il, norm_w=False,
            w_scale=h.real("expert_weights_scale"),
        )  # fmt: skip
        gate_inp = g.build_lora_mm(w.ffn_gate_inp_shexp, cur)
        gate = g.div(g.silu(gate_inp), gate_inp)
        shared = shared_expert(g, w, cur, il, scaled=False)
        cur = g.add(g.add(moe_out, g.mul(shared, gate)), ffn_inp)
    output(g, cur)
