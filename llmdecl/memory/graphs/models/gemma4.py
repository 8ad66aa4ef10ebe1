"""gemma4 (src/models/gemma4.cpp)."""

from llmdecl.memory.ggml.tensor import I32, Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import softcap


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(1)
    h.output_first = h.full_only_freqs = True
    h.n_layer_kv_from_start = h.n_layer_all - h.number("attention.shared_kv_layers")


def per_layer_inputs(g: Context, cur: Tensor, width: int) -> Tensor:
    """`build_inp_per_layer` and `project_per_layer_inputs`: rows of a second embedding."""
    n, count = g.n_tokens, g.n_layer
    tokens = g.input(I32, n, name="inp_tokens_per_layer")
    rows = g.get_rows(g.weight("per_layer_token_embd.weight"), tokens)
    rows = g.scale(g.reshape(rows, width, count, n))
    g.expand(rows)
    proj = g.scale(g.mul_mat(g.weight("per_layer_model_proj.weight"), cur))
    proj = g.reshape(proj, width, count, n)
    proj = g.build_norm(proj, g.weight("per_layer_proj_norm.weight"), None, "LLM_NORM_RMS", -1)
    return g.cont(g.permute(g.scale(g.add(proj, rows)), 0, 2, 1, 3))


def slice_2d(g: Context, x: Tensor) -> Tensor:
    """One of the third dimension (`view_2d_slice`)."""
    return g.view_2d(x, x.ne[0], x.ne[1], x.type.type_size * x.ne[0])


def graph(g: Context) -> None:
    """`llama_model_gemma4::graph`."""
    h, n = g.h, g.n_tokens
    cur = g.scale(g.build_inp_embd())
    inp_pos = g.build_inp_pos()
    inp_attn = g.build_attn_inp_kv()
    out_ids = g.build_inp_out_ids()
    per_layer = None
    width = h.number("embedding_length_per_layer_input")
    if g.weight("per_layer_token_embd.weight") is not None:
        per_layer = per_layer_inputs(g, cur, width)
    for il in g.keep:
        w = g.layer(il)
        head, heads, heads_kv = h.head_k(il), h.n_head(il), h.n_head_kv(il)
        residual = cur
        cur = g.build_norm(cur, w.attn_norm, None, "LLM_NORM_RMS", il)
        factors = None if h.is_swa[il] else g.weight("rope_freqs.weight", il)
        fused = None
        if (qkv_w := w("attn_qkv.weight")) is not None:
            fused = g.build_lora_mm(qkv_w, cur, w("attn_qkv.scale"))
            q = g.cont(g.view_2d(fused, head * heads, n, fused.nb[1]))
        else:
            q = g.build_lora_mm(w.attn_q, cur, w.attn_q_s)
        q = g.build_norm(g.reshape(q, head, heads, n), w.attn_q_norm, None, "LLM_NORM_RMS", il)
        q = g.rope(q, inp_pos, factors)
        k = v = None
        if h.has_kv(il):
            if fused is not None:
                k = g.cont(g.view_2d(fused, head * heads_kv, n, fused.nb[1]))
                v = g.cont(g.view_2d(fused, head * heads_kv, n, fused.nb[1]))
            else:
                k = g.build_lora_mm(w.attn_k, cur, w.attn_k_s)
                v = k if w.attn_v is None else g.build_lora_mm(w.attn_v, cur, w.attn_v_s)
            k, v = g.reshape(k, head, heads_kv, n), g.reshape(v, head, heads_kv, n)
            k = g.build_norm(k, w.attn_k_norm, None, "LLM_NORM_RMS", il)
            v = g.rms_norm(v)
            k = g.rope(k, inp_pos, factors)
        cur = g.build_attn(inp_attn, w.attn_output, None, q, k, v, il, wo_s=w.attn_output_s)
        cur = g.build_norm(cur, w.post_attention_norm, None, "LLM_NORM_RMS", il)
        attn_out = g.add(cur, residual)
        cur = _ffn(g, w, attn_out, il)
        cur = g.build_norm(cur, w.post_ffw_norm, None, "LLM_NORM_RMS", -1)
        cur = g.add(cur, attn_out)
        if per_layer is not None:
            pe_in = cur
            cur = g.gelu(g.build_lora_mm(w.inp_gate, cur))
            cur = g.build_lora_mm(w.proj, g.mul(cur, slice_2d(g, per_layer)))
            cur = g.build_norm(cur, w.post_norm, None, "LLM_NORM_RMS", il)
            cur = g.add(pe_in, cur)
        if (scale := w.layer_output_scale) is not None:
            cur = g.mul(cur, scale)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_h_nextn = cur
    cur = g.get_rows(cur, out_ids)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale"))
    if h.real("final_logit_softcapping") != 0:
        cur = softcap(g, cur)
    g.t_logits = cur
    g.expand(cur)


def _ffn(g: Context, w: Layer, attn_out: Tensor, il: int) -> Tensor:
    h = g.h

    def dense(cur: Tensor) -> Tensor:
        return g.build_ffn(
            cur, w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None, "GELU", il,
            up_s=w.ffn_up_s, gate_s=w.ffn_gate_s, down_s=w.ffn_down_s,
        )  # fmt: skip

    normed = g.build_norm(attn_out, w.ffn_norm, None, "LLM_NORM_RMS", il)
    if w.ffn_gate_inp is None:
        return dense(normed)
    mlp = g.build_norm(dense(normed), w.post_ffw_norm_1, None, "LLM_NORM_RMS", il)
    moe = g.build_norm(attn_out, w.pre_ffw_norm_2, None, "LLM_NORM_RMS", il)
    router = g.mul(g.scale(g.rms_norm(attn_out)), w("ffn_gate_inp.scale"))
    logits = g.build_lora_mm(w.ffn_gate_inp, router)
    moe = g.build_moe_ffn(
        moe, None, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
        h.n_expert, h.n_expert_used(), "GELU", il, norm_w=True, w_scale=1.0, probs_in=logits,
        gate_up_exps=w.ffn_gate_up_exps, up_exps_s=w.ffn_up_exps_s,
        gate_exps_s=w.ffn_gate_exps_s, down_exps_s=w.ffn_down_exps_s,
    )  # fmt: skip
    moe = g.build_norm(moe, w.post_ffw_norm_2, None, "LLM_NORM_RMS", il)
    return g.add(mlp, moe)
