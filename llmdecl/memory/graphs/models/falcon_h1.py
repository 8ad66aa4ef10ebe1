"""falcon-h1: attention and Mamba 2 side by side (src/models/falcon-h1.cpp)."""

from llmdecl.memory.graphs.caches import Memory, hybrid
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output
from llmdecl.memory.graphs.models.mamba_base import hybrid_inputs, mamba2_layer
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.mamba_state()
    h.is_recr = [True] * h.n_layer_all


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """Both in every block."""
    return hybrid(h, run, site, lambda _il: True, lambda _il: True)


def graph(g: Context) -> None:
    """`llama_model_falcon_h1::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_rs, inp_attn = hybrid_inputs(g)
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        before = cur
        cur = g.build_norm(before, w.attn_norm, None, "LLM_NORM_RMS", il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        attn = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur = g.build_norm(before, w.attn_norm, None, "LLM_NORM_RMS", il)
        cur = g.add(attn, mamba2_layer(g, inp_rs, cur, il))
        ffn_inp = g.add(cur, before)
        if il == g.n_layer - 1:
            ffn_inp = g.get_rows(ffn_inp, out_ids)
        cur = g.build_norm(ffn_inp, w.ffn_norm or w("ffn_norm"), None, "LLM_NORM_RMS", il)
        cur = g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
            "SILU", il,
        )  # fmt: skip
        cur = g.add(cur, ffn_inp)
    output(g, cur)
