"""dream (src/models/dream.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_dream::graph`."""
    decoder(g, wo_b=True, cached=False)
