"""smallthinker (src/models/smallthinker.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, gating, output, rms, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    if h.number("attention.sliding_window") > 0:
        h.window(4, dense_first=True, size=4096)
        h.marks = [il % 4 != 0 for il in range(h.n_layer_all)]
    else:
        h.marks = [True] * h.n_layer_all


def graph(g: Context) -> None:
    """`llama_model_smallthinker::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        probs = g.build_lora_mm(w.ffn_gate_inp, cur)
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        if h.marks[il]:
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if il == g.n_layer - 1:
            probs = g.get_rows(probs, out_ids)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        cur = g.build_moe_ffn(
            cur, None, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
            h.n_expert, h.n_expert_used(), "RELU", il, norm_w=True, gating=gating(h, "SOFTMAX"),
            w_scale=h.real("expert_weights_scale"), probs_in=probs,
        )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    output(g, cur)
