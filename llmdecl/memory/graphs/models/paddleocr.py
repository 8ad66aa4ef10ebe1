"""paddleocr (src/models/paddleocr.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.decoder import decoder


def hparams(h: HParams) -> None:
    """Positions of four numbers."""
    h.n_pos_per_embd = 4


def graph(g: Context) -> None:
    """`llama_model_paddleocr::graph`."""
    decoder(g, wo_b=True)
