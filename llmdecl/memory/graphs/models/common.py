"""What many graphs share word for word: where wanted rows are picked, and the output."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Attention, Layer

GATING = {1: "SOFTMAX", 2: "SIGMOID", 3: "SOFTMAX_WEIGHT", 4: "SQRT_SOFTPLUS"}
"""`llama_expert_gating_func_type`."""


def gating(h: HParams, default: str = "SIGMOID") -> str:
    """`expert_gating_func`."""
    return GATING.get(h.number("expert_gating_func"), default)


def wanted(g: Context, il: int, out_ids: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """In the last block only those rows whose results are wanted."""
    if il != g.n_layer - 1:
        return a, b
    return g.get_rows(a, out_ids), g.get_rows(b, out_ids)


def softcap(g: Context, cur: Tensor) -> Tensor:
    """`final_logit_softcapping`."""
    return g.scale(g.tanh(g.scale(cur)))


def output(
    g: Context,
    cur: Tensor,
    *,
    kind: str = "LLM_NORM_RMS",
    bias: str = "",
    capped: bool = False,
    scaled: bool = False,
    head_s: bool = True,
) -> None:
    """The last norm and the logits. `bias` names what is added; `scaled`: `f_logit_scale`.

    `head_s`: the output matrix has a scale, if the file has it.
    """
    norm_b = g.weight("output_norm.bias") if kind == "LLM_NORM" else None
    cur = g.build_norm(cur, g.weight("output_norm.weight"), norm_b, kind, -1)
    g.t_embd = cur
    cur = g.build_lora_mm(g.output(), cur, g.weight("output.scale") if head_s else None)
    if bias and (b := g.weight(bias)) is not None:
        cur = g.add(cur, b)
    if scaled:
        cur = g.scale(cur)
    if capped:
        cur = softcap(g, cur)
    g.t_logits = cur
    g.expand(cur)


def silu(g: Context, w: Layer, cur: Tensor, il: int, *, op: str = "SILU") -> Tensor:
    """A gated feed-forward network without biases and scales."""
    return g.build_ffn(cur, w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None, op, il)


def silu_scaled(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """A gated feed-forward network with scales."""
    return g.build_ffn(
        cur, w.ffn_up, None, w.ffn_gate, None, w.ffn_down, None, "SILU", il,
        up_s=w.ffn_up_s, gate_s=w.ffn_gate_s, down_s=w.ffn_down_s,
    )  # fmt: skip


def full_ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """A gated feed-forward network with biases and scales."""
    return g.build_ffn(
        cur, w.ffn_up, w.ffn_up_b, w.ffn_gate, w.ffn_gate_b, w.ffn_down, w.ffn_down_b,
        "SILU", il, up_s=w.ffn_up_s, gate_s=w.ffn_gate_s, down_s=w.ffn_down_s,
    )  # fmt: skip


def shared_expert(g: Context, w: Layer, cur: Tensor, il: int, *, scaled: bool = True) -> Tensor:
    """The expert that all tokens go through."""
    if not scaled:
        return g.build_ffn(
            cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None, "SILU", il
        )
    return g.build_ffn(
        cur, w.ffn_up_shexp, None, w.ffn_gate_shexp, None, w.ffn_down_shexp, None, "SILU", il,
        up_s=w.ffn_up_shexp_s, gate_s=w.ffn_gate_shexp_s, down_s=w.ffn_down_shexp_s,
    )  # fmt: skip


def moe(
    g: Context,
    w: Layer,
    cur: Tensor,
    il: int,
    *,
    norm_w: bool,
    op: str = "SILU",
    gate: str = "SOFTMAX",
    scales: bool = False,
    bias: bool = False,
    fused: bool = False,
    clamped: bool = False,
) -> Tensor:
    """A layer of experts with the usual names; `bias`: `exp_probs_b` joins the selection."""
    h = g.h
    return g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps,
        w("exp_probs_b.bias") if bias else None,
        h.n_expert, h.n_expert_used(), op, il, norm_w=norm_w, gating=gate,
        w_scale=h.real("expert_weights_scale"),
        gate_up_exps=w.ffn_gate_up_exps if fused else None,
        up_exps_s=w.ffn_up_exps_s if scales else None,
        gate_exps_s=w.ffn_gate_exps_s if scales else None,
        down_exps_s=w.ffn_down_exps_s if scales else None,
        clamped=clamped,
    )  # fmt: skip


def begin(g: Context) -> tuple[Tensor, Tensor, Attention, Tensor]:
    """Embeddings, positions, attention's inputs and the wanted rows."""
    return g.build_inp_embd(), g.build_inp_pos(), g.build_attn_inp_kv(), g.build_inp_out_ids()


def rms(g: Context, cur: Tensor, weight: Tensor | None, il: int) -> Tensor:
    """`build_norm` with `LLM_NORM_RMS`."""
    return g.build_norm(cur, weight, None, "LLM_NORM_RMS", il)
