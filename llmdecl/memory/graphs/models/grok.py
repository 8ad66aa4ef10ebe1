"""grok (src/models/grok.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import begin, moe, output, rms, silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.f_embedding_scale = h.real("embedding_scale", 78.38367176906169)


def graph(g: Context) -> None:
    """`llama_model_grok::graph`."""
    h = g.h
    cur, inp_pos, inp_attn, out_ids = begin(g)
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(
            inp_attn, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = rms(g, cur, w.attn_output_norm, il)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        moe_out = moe(g, w, cur, il, norm_w=True, op="GELU")
        if w.ffn_up is not None:
            moe_out = g.scale(g.add(silu(g, w, cur, il, op="GELU"), moe_out))
        post = w.layer_output_norm if w.layer_output_norm is not None else w.post_ffw_norm
        cur = g.add(rms(g, moe_out, post, il), ffn_inp)
    output(g, cur, scaled=True, capped=h.real("final_logit_softcapping") != 0)
