"""bloom (src/models/bloom.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.models.decoder import NORM, decoder, simple_ffn


def graph(g: Context) -> None:
    """`llama_model_bloom::graph`."""
    norm_w, norm_b = g.weight("token_embd_norm.weight"), g.weight("token_embd_norm.bias")
    start = g.build_norm(g.build_inp_embd(), norm_w, norm_b, NORM, 0)
    decoder(g, simple_ffn, kind=NORM, rope=False, wo_b=True, start=start)
