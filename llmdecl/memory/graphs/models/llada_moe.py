"""llada-moe (src/models/llada-moe.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts


def graph(g: Context) -> None:
    """`llama_model_llada_moe::graph`."""
    decoder(g, partial(experts, norm_w=False), qk_norm="before", cached=False)
