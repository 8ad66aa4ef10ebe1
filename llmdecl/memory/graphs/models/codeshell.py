"""codeshell (src/models/codeshell.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_codeshell::graph`."""
    decoder(g, simple_ffn, kind=NORM, wo_b=True)
