"""dots1 (src/models/dots1.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder
from llmdecl.memory.graphs.models.routed import experts_or_dense, gating


def graph(g: Context) -> None:
    """`llama_model_dots1::graph`."""
    decoder(g, partial(experts_or_dense, how=gating(g.h)), qk_norm="before", wo_b=True)
