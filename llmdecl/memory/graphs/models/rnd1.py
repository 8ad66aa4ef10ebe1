"""rnd1 (src/models/rnd1.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts


def graph(g: Context) -> None:
    """`llama_model_rnd1::graph`."""
    decoder(g, partial(experts, norm_w=True), qk_norm="before", wo_b=True, cached=False)
