"""grovemoe (src/models/grovemoe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import begin, output, rms, wanted


def graph(g: Context) -> None:
    """`llama_model_grovemoe::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, w.attn_k_norm, il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        probs = g.build_lora_mm(w.ffn_gate_inp, cur)
        cur = _experts(g, w, cur, probs, h.n_expert, il, ("ffn_%s_exps", h.n_expert_used()))
        chunks = h.n_expert // h.number("experts_per_group", 1)
        used = min(chunks, h.n_expert_used())
        more = _experts(g, w, cur, probs, chunks, il, ("ffn_%s_chexps", used))
        cur = g.add(g.add(cur, g.scale(more)), ffn_inp)
    output(g, cur)


def _experts(
    g: Context, w: Layer, cur: Tensor, probs: Tensor, count: int, il: int, of: tuple[str, int]
) -> Tensor:
    name, used = of
    up, gate, down = (w(f"{name % part}.weight") for part in ("up", "gate", "down"))
    return g.build_moe_ffn(
        cur, None, up, gate, down, None, count, used, "SILU", il, norm_w=True,
        w_scale=g.h.real("expert_weights_scale"), probs_in=probs,
    )  # fmt: skip
