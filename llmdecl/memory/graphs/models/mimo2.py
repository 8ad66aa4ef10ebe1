"""mimo2 (src/models/mimo2.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, moe, output, rms, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(1)


def graph(g: Context) -> None:
    """`llama_model_mimo2::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        heads, heads_kv, n = h.n_head(il), h.n_head_kv(il), g.n_tokens
        head_k, head_v = h.head_k(), h.head_v()
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        shapes = (head_k, heads), (head_k, heads_kv), (head_v, heads_kv)
        if (fused := w("attn_qkv.weight")) is not None:
            qkv = g.build_lora_mm(fused, cur)
            q, k, v = (
                g.view_3d(qkv, size, count, n, row_size(qkv.type, size), qkv.nb[1])
                for size, count in shapes
            )
        else:
            parts = [g.build_lora_mm(part, cur) for part in (w.attn_q, w.attn_k, w.attn_v)]
            q, k, v = (
                g.reshape(part, size, count, n)
                for part, (size, count) in zip(parts, shapes, strict=True)
            )
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, None, q, k, v, il, sinks=w.attn_sinks, wo_s=w.attn_output_s
        )
        if h.real("attention.value_scale") not in (0.0, 1.0):
            cur = g.scale(cur)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        if w.ffn_gate_inp is None:
            cur = g.build_ffn(
                cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
                "SILU", il,
            )  # fmt: skip
        else:
            cur = moe(g, w, cur, il, norm_w=True, gate="SIGMOID", bias=True)
        cur = g.add(cur, ffn_inp)
    output(g, cur)
