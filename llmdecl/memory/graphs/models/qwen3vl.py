"""qwen3vl and qwen3vlmoe (src/models/qwen3vl.cpp, qwen3vlmoe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.n_pos_per_embd = 4
    h.deepstack()


def graph(g: Context) -> None:
    """`llama_model_qwen3vl::graph`, `llama_model_qwen3vlmoe::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_embd = g.t_inp_embd
    assert inp_embd is not None
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
        k = g.rope(g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il), inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if g.arch == "qwen3vlmoe":
            cur = g.build_moe_ffn(
                cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
                w_scale=h.real("expert_weights_scale"),
            )  # fmt: skip
        else:
            cur = silu(g, w, cur, il)
        cur = g.add(cur, ffn_inp)
        if il < h.n_deepstack_layers:
            cur = g.add(cur, g.view_2d(inp_embd, h.n_embd, g.n_tokens, inp_embd.nb[1]))
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    head = g.output()
    cur = g.build_lora_mm(head, cur, g.weight("output.scale"))
    missing = g.tok_embd().ne[1] - head.ne[1]
    if g.arch != "qwen3vlmoe" and missing > 0:
        filler = g.scale_bias(g.view_1d(g.weight("output_norm.weight"), 1))
        cur = g.concat(g.repeat_4d(filler, missing, cur.ne[1], 1, 1), cur, 0)
    g.t_logits = cur
    g.expand(cur)
