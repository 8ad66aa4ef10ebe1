"""minicpm (src/models/minicpm.cpp, whose graph is that of src/models/granite.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import full_ffn, output, wanted
from llmdecl.memory.graphs.models.routed import experts

EMBEDDING_SCALE = 12.0


def hparams(h: HParams) -> None:
    """Embeddings and residuals are scaled, if the header does not say zero."""
    h.f_embedding_scale = h.real("embedding_scale", EMBEDDING_SCALE)


def graph(g: Context) -> None:
    """`llama_model_granite::graph` as MiniCPM uses it."""
    h = g.h
    scaled = h.real("residual_scale", 1.0) != 0
    cur = g.build_inp_embd()
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = g.rope_factors(il)
        q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(il), h.n_head_kv(il), il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
        cur = g.build_attn(
            inp_attn, w.attn_output, w("attn_output.bias"), q, k, v, il, wo_s=w.attn_output_s
        )
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = g.scale(cur) if scaled else cur
        ffn_inp = g.add(cur, residual)
        cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
        if w.ffn_gate_inp is None:
            cur = full_ffn(g, w, cur, il)
        else:
            cur = experts(g, w, cur, il, norm_w=True)
        cur = g.scale(cur) if scaled else cur
        cur = g.add(cur, ffn_inp)
    output(g, cur, scaled=True)
