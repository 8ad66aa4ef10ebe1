"""nanbeige: blocks that are run several times (src/models/nanbeige.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, full_ffn, output, rms, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    loops = h.number("num_loops", 1)
    h.n_head_arr, h.n_head_kv_arr, h.n_ff_arr = (
        each * loops for each in (h.n_head_arr, h.n_head_kv_arr, h.n_ff_arr)
    )
    h.is_swa, h.is_recr, h.marks = h.is_swa * loops, h.is_recr * loops, h.marks * loops
    h.n_layer_all *= loops


def graph(g: Context) -> None:
    """`llama_model_nanbeige::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    physical = h.number("block_count")
    skipped = h.flag("skip_loop_final_norm")
    for il in g.keep:
        w = g.layer(il % physical)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(), h.n_head_kv(), il)
        factors = g.rope_factors(il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        cur = g.add(full_ffn(g, w, cur, il), ffn_inp)
        if (il + 1) % physical == 0 and il + 1 < g.n_layer and not skipped:
            cur = rms(g, cur, g.weight("output_norm.weight"), il)
    output(g, cur)
