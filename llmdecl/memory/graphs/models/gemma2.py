"""gemma2 (src/models/gemma2.cpp), and the blocks that gemma3 and gemma-embedding have as well."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output, silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(2, size=h.number("attention.sliding_window", 4096))
    h.attn_soft_cap = True


def graph(g: Context) -> None:
    """`llama_model_gemma2::graph`."""
    output(g, blocks(g, qk_norm=False), capped=True)


def blocks(g: Context, *, qk_norm: bool, cached: bool = True) -> Tensor:
    """All blocks, with norms before and after attention and network; `qk_norm`: of heads, too."""
    h = g.h
    cur = g.scale(g.build_inp_embd())
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv() if cached else g.build_attn_inp_no_cache()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_k_full, h.n_head(), h.n_head_kv(), il)
        if qk_norm:
            q = g.rope(g.build_norm(q, w.attn_q_norm, None, "LLM_NORM_RMS", il), inp_pos)
            k = g.rope(g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il), inp_pos)
        else:
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, None, g.scale(q), k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = g.build_norm(cur, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        sa_out = g.add(cur, residual)
        cur = g.build_norm(sa_out, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = silu(g, w, cur, il, op="GELU")
        cur = g.build_norm(cur, w.post_ffw_norm, None, "LLM_NORM_RMS", -1)
        cur = g.add(cur, sa_out)
    return cur
