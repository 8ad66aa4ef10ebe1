"""Feed-forward networks of experts as most graphs build them, and how a header says it."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import shared_expert, silu, silu_scaled

CLAMP_EPSILON = 1e-6

GATINGS = ("", "SOFTMAX", "SIGMOID", "SOFTMAX_WEIGHT", "SQRTSOFTPLUS")
"""`llama_expert_gating_func_type` by number."""


def gating(h: HParams, default: str = "SOFTMAX") -> str:
    """How the router's logits become weights (`expert_gating_func`)."""
    return GATINGS[h.number("expert_gating_func")] or default


def rope_sections(h: HParams) -> bool:
    """Positions have several dimensions (`use_mrope`, src/llama-hparams.cpp:352)."""
    sections = h.get("rope.dimension_sections")
    if not isinstance(sections, tuple) or len(sections) < 2:
        return False
    return all(isinstance(s, int) and s > 0 for s in sections[:2])


def mrope(h: HParams) -> None:
    """Positions of four numbers, if the header says so."""
    h.n_pos_per_embd = 4 if rope_sections(h) else 1


def experts(
    g: Context,
    w: Layer,
    cur: Tensor,
    il: int,
    *,
    norm_w: bool,
    how: str = "SOFTMAX",
    biased: bool = False,
    fused: bool = False,
) -> Tensor:
    """The experts of a block; `biased`: their choice; `fused`: gate and up may be one matrix."""
    h = g.h
    return g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        w("exp_probs_b.bias") if biased else None,
        h.n_expert, h.n_expert_used(), "SILU", il, norm_w=norm_w, gating=how,
        w_scale=h.real("expert_weights_scale"),
        gate_up_exps=w.ffn_gate_up_exps if fused else None,
    )  # fmt: skip


def experts_or_dense(
    g: Context,
    w: Layer,
    cur: Tensor,
    il: int,
    *,
    norm_w: bool | None = None,
    how: str = "SOFTMAX",
    biased: bool = True,
    fused: bool = False,
) -> Tensor:
    """Leading blocks are dense; all others have experts and one that all tokens go through."""
    h = g.h
    if il < h.n_layer_dense_lead:
        return silu(g, w, cur, il)
    normed = h.flag("expert_weights_norm") if norm_w is None else norm_w
    moe_out = experts(g, w, cur, il, norm_w=normed, how=how, biased=biased, fused=fused)
    return g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))


def clamps(h: HParams, key: str) -> list[bool]:
    """Which blocks limit their activations (`swiglu_clamp_exp`, `swiglu_clamp_shexp`)."""
    value = h.get(key)
    given = value if isinstance(value, tuple) else (value,) * h.n_layer_all
    limits = [isinstance(v, int | float) and v > CLAMP_EPSILON for v in given][: h.n_layer_all]
    return limits + [False] * (h.n_layer_all - len(limits))


def scaled_experts_or_dense(
    g: Context, w: Layer, cur: Tensor, il: int, *, how: str = "SOFTMAX"
) -> Tensor:
    """As `experts_or_dense`, with the weights' scales."""
    h = g.h
    if il < h.n_layer_dense_lead:
        return silu_scaled(g, w, cur, il)
    return g.add(scaled_experts(g, w, cur, il, how=how), shared_expert(g, w, cur, il))


def scaled_experts(g: Context, w: Layer, cur: Tensor, il: int, *, how: str) -> Tensor:
    """Experts with the weights' scales; their choice is biased, and gate and up may be one."""
    h = g.h
    probs_b = w("exp_probs_b") if h.arch == "hy_v3" else w("exp_probs_b.bias")
    return g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        probs_b, h.n_expert, h.n_expert_used(), "SILU", il,
        norm_w=h.flag("expert_weights_norm"), gating=how,
        w_scale=h.real("expert_weights_scale"), gate_up_exps=w.ffn_gate_up_exps,
        up_exps_s=w.ffn_up_exps_s, gate_exps_s=w.ffn_gate_exps_s, down_exps_s=w.ffn_down_exps_s,
    )  # fmt: skip


def clamped_experts_or_dense(
    g: Context, w: Layer, cur: Tensor, il: int, *, how: str = "SOFTMAX"
) -> Tensor:
    """As `experts_or_dense` where `h.marks` says of each block what is limited: experts, others."""
    h = g.h
    limits = h.marks[il]
    exps, shexp = limits if isinstance(limits, tuple) else (False, False)
    if il < h.n_layer_dense_lead:
        return g.build_ffn(
            cur, w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None, "SILU", il, clamped=shexp
        )
    moe_out = g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        w("exp_probs_b.bias"), h.n_expert, h.n_expert_used(), "SILU", il,
        norm_w=h.flag("expert_weights_norm"), gating=how,
        w_scale=h.real("expert_weights_scale"), clamped=exps,
    )  # fmt: skip
    shared = g.build_ffn(
        cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None, "SILU", il,
        clamped=shexp,
    )  # fmt: skip
    return g.add(moe_out, shared)
