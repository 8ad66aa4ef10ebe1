"""pangu-embedded (src/models/pangu-embed.cpp)."""

from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.inputs import Layer
from llmdecl.memory.graphs.models.decoder import decoder


def graph(g: Context) -> None:
    """`llama_model_pangu_embed::graph`."""
    decoder(g, biased_ffn, wo_b=True, bias="output.bias")


def biased_ffn(g: Context, w: Layer, cur: Tensor, il: int) -> Tensor:
    """A gated network with biases."""
    return g.build_ffn(
        cur, w.ffn_up, w("ffn_up.bias"), w.ffn_gate, w("ffn_gate.bias"),
        w.ffn_down, w("ffn_down.bias"), "SILU", il,
    )  # fmt: skip
