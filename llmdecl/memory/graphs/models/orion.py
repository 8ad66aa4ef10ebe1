"""orion (src/models/orion.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder


def graph(g: Context) -> None:
    """`llama_model_orion::graph`."""
    decoder(g, kind=NORM)
