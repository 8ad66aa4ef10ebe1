"""exaone-moe (src/models/exaone-moe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import shared_expert, silu
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts, gating


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(4)


def graph(g: Context) -> None:
    """`llama_model_exaone_moe::graph`: only windows rotate positions."""
    decoder(
        g, _ffn, rope=lambda il: g.h.is_swa[il], factors=True, qk_norm="before", head=g.h.head_k()
    )


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    if w.ffn_gate_inp is None:
        return silu(g, w, cur, il)
    norm_w = g.h.flag("expert_weights_norm")
    moe_out = experts(g, w, cur, il, norm_w=norm_w, how=gating(g.h), biased=True)
    return g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))
