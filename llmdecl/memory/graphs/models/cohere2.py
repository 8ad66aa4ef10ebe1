"""cohere2 and command-r (src/models/cohere2.cpp, command-r.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, silu, silu_scaled, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams` of cohere2."""
    h.window(4)


def graph(g: Context) -> None:
    """`llama_model_cohere2::graph`, `llama_model_command_r::graph`."""
    h = g.h
    windowed = g.arch == "cohere2"
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = ffn_inp = g.build_norm(cur, w.attn_norm, None, "LLM_NORM", il)
        factors = g.rope_factors(il) if windowed else None
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        if not windowed:
            if w.attn_q_norm is not None:
                q = g.build_norm(q, w.attn_q_norm, None, "LLM_NORM", il)
            if w.attn_k_norm is not None:
                k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM", il)
        if not windowed or h.is_swa[il]:
            q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if il == g.n_layer - 1:
            ffn_inp = g.get_rows(ffn_inp, out_ids)
        ffn = silu_scaled(g, w, ffn_inp, il) if windowed else silu(g, w, ffn_inp, il)
        cur = g.add(g.add(ffn, residual), cur)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM", -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    if h.real("logit_scale"):
        cur = g.scale(cur)
    g.t_logits = cur
    g.expand(cur)
