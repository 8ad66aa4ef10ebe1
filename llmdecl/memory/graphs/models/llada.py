"""llada (src/models/llada.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.decoder import decoder


def hparams(h: HParams) -> None:
    """Text is denoised, not continued."""
    h.causal = False


def graph(g: Context) -> None:
    """`llama_model_llada::graph`."""
    decoder(g, cached=False)
