"""gemma3 (src/models/gemma3.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.common import output
from llmdecl.memory.graphs.models.gemma2 import blocks


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    if h.number("attention.sliding_window") > 0:
        h.window(6)


def graph(g: Context) -> None:
    """`llama_model_gemma3::graph`."""
    output(g, blocks(g, qk_norm=True), capped=g.h.real("final_logit_softcapping") != 0)
