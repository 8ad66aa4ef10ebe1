"""gpt-oss (src/models/openai-moe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(2)


def graph(g: Context) -> None:
    """`llama_model_openai_moe::graph`: wanted rows are picked after the blocks."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.n_rot_full, h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il,
            sinks=w.attn_sinks, wo_s=w.attn_output_s,
        )  # fmt: skip
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        cur = g.build_moe_ffn(
            cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
            h.n_expert, h.n_expert_used(), "SWIGLU_OAI_MOE", il, norm_w=False,
            gating="SOFTMAX_WEIGHT", w_scale=h.real("expert_weights_scale"),
            gate_inp_b=w.ffn_gate_inp_b, up_exps_b=w.ffn_up_exps_b,
            gate_exps_b=w.ffn_gate_exps_b, down_exps_b=w.ffn_down_exps_b,
        )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    g.t_h_nextn = cur
    output(g, g.get_rows(cur, out_ids))
