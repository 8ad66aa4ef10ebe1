"""muse-glimmer (src/models/muse-glimmer.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output, rms, silu, wanted


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(4)


def graph(g: Context) -> None:
    """`llama_model_muse_glimmer::graph`."""
    h = g.h
    cur = rms(g, g.build_inp_embd(), None, -1)
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    for il in g.keep:
        w = g.layer(il)
        residual = cur
        cur = rms(g, cur, w.attn_norm, il)
        q, k, v = g.build_qkv(w, cur, h.head_v_full, h.n_head(), h.n_head_kv(), il)
        gate = g.build_lora_mm(w.attn_gate, cur)
        q, k = rms(g, q, w.attn_q_norm, il), rms(g, k, w.attn_k_norm, il)
        if h.is_swa[il]:
            q, k = g.rope(q, inp_pos), g.rope(k, inp_pos)
        cur = g.build_attn(inp_attn, None, None, q, k, v, il)
        cur = g.build_lora_mm(w.attn_output, g.mul(cur, g.sigmoid(gate)), w.attn_output_s)
        cur = g.mul(g.rms_norm(cur), w.post_attention_norm)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        ffn_inp = g.add(cur, residual)
        cur = rms(g, ffn_inp, w.ffn_norm, il)
        cur = g.mul(g.rms_norm(silu(g, w, cur, il)), w.post_ffw_norm)
        cur = g.add(cur, ffn_inp)
    output(g, cur, scaled=True, capped=h.real("final_logit_softcapping") != 0)
