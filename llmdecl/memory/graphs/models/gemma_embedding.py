"""gemma-embedding (src/models/gemma-embedding.cpp)."""

from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.gemma2 import blocks


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.window(6)
    h.causal = False


def graph(g: Context) -> None:
    """`llama_model_gemma_embedding::graph`."""
    cur = blocks(g, qk_norm=True, cached=False)
    cur = g.build_norm(cur, g.weight("output_norm.weight"), None, "LLM_NORM_RMS", -1)
    g.t_embd = cur
    g.expand(cur)
