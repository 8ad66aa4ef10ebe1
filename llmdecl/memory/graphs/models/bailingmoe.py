"""bailingmoe: Ling (src/models/bailingmoe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import shared_expert
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts


def graph(g: Context) -> None:
    """`llama_model_bailingmoe::graph`."""
    decoder(g, _ffn, factors=True, head=g.h.head_k(), wo_b=True)


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    moe_out = experts(g, w, cur, il, norm_w=g.h.flag("expert_weights_norm"))
    return g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))
