"""jais2 (src/models/jais2.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_jais2::graph`."""
    decoder(g, partial(simple_ffn, op="RELU_SQR"), kind=NORM, wo_b=True)
