"""cohere2moe (src/models/cohere2moe.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, gating, moe, shared_expert, silu_scaled


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(4, dense_first=True)
    h.marks = [il < h.n_layer_dense_lead for il in range(h.n_layer_all)]


def graph(g: Context) -> None:
    """`llama_model_cohere2moe::graph`: wanted rows are picked after the last norm."""
    h = g.h
    kind = "LLM_NORM_RMS" if h.real("attention.layer_norm_rms_epsilon") else "LLM_NORM"
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = ffn_inp = g.build_norm(cur, w.attn_norm, None, kind, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        if h.is_swa[il] or h.marks[il]:
            factors = g.rope_factors(il)
            q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        attn_out = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        if w.ffn_gate_inp is None:
            cur = silu_scaled(g, w, ffn_inp, il)
        else:
            cur = moe(
                g, w, ffn_inp, il, norm_w=h.flag("expert_weights_norm"), gate=gating(h),
                scales=True, fused=True,
            )  # fmt: skip
            if w.ffn_up_shexp is not None:
                cur = g.scale(g.add(cur, shared_expert(g, w, ffn_inp, il)))
        cur = g.add(g.add(cur, residual), attn_out)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, kind, -1)
    g.t_h_nextn = cur
    cur = g.get_rows(cur, out_ids)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur)
    if h.real("logit_scale"):
        cur = g.scale(cur)
    g.t_logits = cur
    g.expand(cur)
