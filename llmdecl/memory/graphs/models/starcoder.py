"""starcoder (src/models/starcoder.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder, positioned, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_starcoder::graph`."""
    decoder(g, simple_ffn, kind=NORM, rope=False, wo_b=True, start=positioned(g))
