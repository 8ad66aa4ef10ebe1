"""exaone (src/models/exaone.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_exaone::graph`."""
    decoder(g, factors=True, wo_b=True)
