"""maple (src/models/maple.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import clamps


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(0)
    h.marks = list(clamps(h, "swiglu_clamp_exp"))


def graph(g: Context) -> None:
    """`llama_model_maple::graph`: only windows rotate positions."""
    decoder(g, _ffn, rope=lambda il: g.h.is_swa[il], qk_norm="before", head=g.h.head_k())


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    h = g.h
    return g.build_moe_ffn(
        cur, w.ffn_gate_inp, w.ffn_up_exps, w.ffn_gate_exps, w.ffn_down_exps, None,
        h.n_expert, h.n_expert_used(), "SILU", il, norm_w=True, w_scale=1.0,
        clamped=bool(h.marks[il]),
    )  # fmt: skip
