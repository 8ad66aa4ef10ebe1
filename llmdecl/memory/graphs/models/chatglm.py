"""chatglm (src/models/chatglm.cpp)."""

from functools import partial

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_chatglm::graph`."""
    decoder(g, partial(simple_ffn, op="SWIGLU"))
