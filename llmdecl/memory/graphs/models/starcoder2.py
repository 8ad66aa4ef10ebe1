"""starcoder2 (src/models/starcoder2.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_starcoder2::graph`."""
    decoder(g, simple_ffn, kind=NORM, wo_b=True)
