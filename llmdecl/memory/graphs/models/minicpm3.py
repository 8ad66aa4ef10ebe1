"""minicpm3 (src/models/minicpm3.cpp)."""

from llmdecl.memory.ggml.ops import row_size
from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Attention, Layer
from llmdecl.memory.graphs.models.common import silu, wanted
from llmdecl.memory.graphs.models.deepseek2 import compressed_kv, low_rank_q


def graph(g: Context) -> None:
    """`llama_model_minicpm3::graph`."""
    cur = g.scale(g.build_inp_embd())
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        factors = g.rope_factors(il)
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = expanded_attention(g, w, inp_attn, cur, inp_pos, factors, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(g.scale(cur), residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(g.scale(silu(g, w, cur, il)), ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), g.scale(cur), g.weight("output.scale"))
    g.t_logits = cur
    g.expand(cur)


def expanded_attention(
    g: Context,
    w: Layer,
    inp: Attention,
    cur: Tensor,
    inp_pos: Tensor,
    factors: Tensor | None,
    il: int,
) -> Tensor:
    """Keys and values are compressed, and expanded before they are kept."""
    h, n, heads = g.h, g.n_tokens, g.h.n_head()
    plain, head_v = h.head_k() - h.n_rot(), h.head_v()
    q = g.reshape(low_rank_q(g, w, cur, il), h.head_k(), heads, n)
    kv, k_pe = compressed_kv(g, w, cur)
    kv = g.build_norm(kv, w.attn_kv_a_norm, None, "LLM_NORM_RMS", il)
    both = g.mul_mat(w.attn_kv_b, kv)
    row = row_size(F32, plain + head_v)
    k_nope = g.view_3d(both, plain, heads, n, row, row * heads)
    v = g.cont(g.view_3d(both, head_v, heads, n, row, row * heads))
    q, k_pe = g.rope(q, inp_pos, factors), g.rope(k_pe, inp_pos, factors)
    k = g.concat(k_nope, g.repeat_4d(k_pe, h.n_rot(), heads, n, 1), 0)
    return g.build_attn(inp, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
