"""chameleon (src/models/chameleon.cpp)."""

from llmdecl.memory.ggml.tensor import F32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.common import silu, wanted
from llmdecl.memory.graphs.models.decoder import NORM, normed

IMAGE_TOKENS = 8196 - 4
"""Logits that are never chosen."""


def graph(g: Context) -> None:
    """`llama_model_chameleon::graph`: norms before or (`swin_norm`) after each network."""
    h = g.h
    swin = h.flag("swin_norm")
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        if not swin:
            cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = normed(g, w, q, k, il, NORM)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        if swin:
            cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = ffn_inp = g.add(cur, residual)
        if not swin:
            cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = silu(g, w, cur, il)
        if swin:
            cur = g.build_norm(cur, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(cur, ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    cur = Tensor("SET", cur.type, cur.ne, None, [cur, g.clamp(g.new(F32, IMAGE_TOKENS))])
    g.t_logits = cur
    g.expand(cur)
