"""refact (src/models/refact.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_refact::graph`."""
    decoder(g, rope=False)
