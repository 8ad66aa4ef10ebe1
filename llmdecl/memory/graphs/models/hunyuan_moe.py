"""hunyuan-moe (src/models/hunyuan-moe.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.common import shared_expert
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts


def graph(g: Context) -> None:
    """`llama_model_hunyuan_moe::graph`."""
    decoder(g, _ffn, factors=True, qk_norm="after", wo_b=True)


def _ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    moe_out = experts(g, w, cur, il, norm_w=True)
    return g.add(moe_out, shared_expert(g, w, cur, il, scaled=False))
