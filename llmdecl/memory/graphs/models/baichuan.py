"""baichuan (src/models/baichuan.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder

ROTATED_LAYERS = 32


def graph(g: Context) -> None:
    """`llama_model_baichuan::graph`: the model of 13B does not rotate positions."""
    decoder(g, rope=g.n_layer == ROTATED_LAYERS)
