"""internlm2 (src/models/internlm2.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_internlm2::graph`."""
    decoder(g, wo_b=True)
