"""jais (src/models/jais.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder
from llmdecl.memory.graphs.models.pangu_embed import biased_ffn


def graph(g: Context) -> None:
    """`llama_model_jais::graph`."""
    decoder(g, biased_ffn, kind=NORM, rope=False, wo_b=True)
