"""llama: Llama 2 and 3, Mistral, Mixtral and much else (src/models/llama.cpp)."""

from llmdecl.memory.graphs.context import Context


def graph(g: Context, *, embed: bool = False) -> None:
    """`llama_model_llama::graph`."""
    h = g.h
    head = h.head_v()
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_no_cache() if embed else g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, head, h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        if h.arch == "llama4" and h.flag("use_kq_norm"):
            q, k = g.rms_norm(q), g.rms_norm(k)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w("attn_output.scale")
        )
        if il == g.n_layer - 1:
            cur, residual = g.get_rows(cur, out_ids), g.get_rows(residual, out_ids)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = g.build_ffn(
                cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
                "SILU", il, up_s=w.ffn_up_s, gate_s=w.ffn_gate_s, down_s=w.ffn_down_s,
            )  # fmt: skip
        else:
            cur = g.build_moe_ffn(
                cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
                h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
                w_scale=h.real("expert_weights_scale"),
                up_exps_s=w.ffn_up_exps_s, gate_exps_s=w.ffn_gate_exps_s,
                down_exps_s=w.ffn_down_exps_s,
            )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    if not embed:
        cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
        g.t_logits = cur
    g.expand(cur)
