"""ernie4_5 (src/models/ernie4-5.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_ernie4_5::graph`."""
    decoder(g)
