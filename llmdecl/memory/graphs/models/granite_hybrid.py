"""granitehybrid: Mamba 2 between attention (src/models/granite-hybrid.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Attention
from llmdecl.memory.graphs.models.common import output, wanted
from llmdecl.memory.graphs.models.mamba_base import hybrid_inputs, mamba2_layer


def graph(g: Context) -> None:
    """`llama_model_granite_hybrid::graph`."""
    h = g.h
    cur = g.build_inp_embd()
    inp_rs, inp_attn = hybrid_inputs(g)
    out_ids = g.build_inp_out_ids()
    inp_pos = g.build_inp_pos() if has_rope(g) else None
    for il in g.keep:
        residual = cur
        cur = g.build_norm(cur, g.layer(il).attn_norm, None, "LLM_NORM_RMS", il)
        if h.is_recr[il]:
            cur = mamba2_layer(g, inp_rs, cur, il)
        else:
            cur = attention_layer(g, inp_attn, inp_pos, cur, il)
        cur, residual = wanted(g, il, out_ids, cur, residual)
        cur = layer_ffn(g, cur, residual, il)
    output(g, cur, scaled=h.real("logit_scale") != 0)


def has_rope(g: Context) -> bool:
    """`rope.scaling.finetuned` is Granite's switch of positions."""
    return g.h.flag("rope.scaling.finetuned", default=True)


def attention_layer(
    g: Context, inp: Attention, inp_pos: Tensor | None, cur: Tensor, il: int
) -> Tensor:
    """`build_attention_layer`."""
    h, w = g.h, g.layer(il)
    q, k, v = g.build_qkv(w, cur, h.head_v(), h.n_head(il), h.n_head_kv(il), il)
    if inp_pos is not None:
        factors = g.rope_factors(il)
        q, k = g.rope(q, inp_pos, factors), g.rope(k, inp_pos, factors)
    return g.build_attn(inp, w.attn_output, w.attn_output_b, q, k, v, il, wo_s=w.attn_output_s)


def layer_ffn(g: Context, cur: Tensor, residual: Tensor, il: int, *, fused: bool = False) -> Tensor:
    """`build_layer_ffn`; `fused`: gates of experts are in one matrix with their inputs."""
    h, w = g.h, g.layer(il)
    scaled = h.real("residual_scale") != 0
    if scaled:
        cur = g.scale(cur)
    ffn_inp = g.add(cur, residual)
    cur = g.build_norm(ffn_inp, w.ffn_norm, None, "LLM_NORM_RMS", il)
    if w.ffn_gate_inp is None:
        cur = g.build_ffn(
            cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
            "SILU", il,
        )  # fmt: skip
    else:
        out = g.build_moe_ffn(
            cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
            h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True,
            w_scale=h.real("expert_weights_scale"),
            gate_up_exps=w.ffn_gate_up_exps if fused else None,
        )  # fmt: skip
        if h.n_ff_shexp > 0:
            shared = g.build_ffn(
                cur, w.ffn_up_shexp, None, None if fused else w.ffn_gate_shexp, None,
                w.ffn_down_shexp, None, "SWIGLU" if fused else "SILU", il, parallel=not fused,
            )  # fmt: skip
            cur = g.add(out, shared)
        else:
            cur = out
    if scaled:
        cur = g.scale(cur)
    return g.add(cur, ffn_inp)
