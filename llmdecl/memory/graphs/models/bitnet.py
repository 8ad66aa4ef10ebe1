"""bitnet (src/models/bitnet.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import wanted


def unused(_h: HParams, name: str) -> bool:
    """An output of its own is not read."""
    return name == "output.weight"


def graph(g: Context) -> None:
    """`llama_model_bitnet::graph`: the embedding on the host is the output, too."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        cur = g.build_norm(cur, w.attn_sub_norm, None, "LLM_NORM_RMS", il)
        cur = g.build_lora_mm(w.attn_output, cur, w.attn_output_s)
        if (bias := w("attn_output.bias")) is not None:
            cur = g.add(cur, bias)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        cur = g.build_ffn(
            cur, w.ffn_up, None, w.ffn_gate, None, None, None, "SILU", il,
            up_s=w.ffn_up_s, gate_s=w.ffn_gate_s,
        )  # fmt: skip
        cur = g.build_norm(cur, w.ffn_sub_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(g.build_lora_mm(w.ffn_down, cur, w.ffn_down_s), ffn_inp)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.t_logits = g.build_lora_mm(g.tok_embd(), cur)
    g.expand(g.t_logits)
