"""glm-dsa: GLM 5 (src/models/glm-dsa.cpp)."""

from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models.deepseek32 import sparse_graph
from llmdecl.memory.graphs.models.indexer import indexed_memory, indexer_types
from llmdecl.memory.graphs.models.routed import gating
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

LONG_CONTEXT = 1 << 20
"""From this on the header is GLM 5.2's."""

DEFAULT_TYPES = (True, True, True, *(False, False, False, True) * 19, False, False, False)
"""Blocks of GLM 5.2 with an indexer, where the header does not say so."""


def hparams(h: HParams) -> None:
    """Blocks with an indexer of their own (src/models/glm-dsa.cpp:40)."""
    if h.get("attention.indexer.types") is not None:
        full = indexer_types(h)
    elif h.n_ctx_train < LONG_CONTEXT:
        full = [True] * h.n_layer_all
    else:
        full = list(DEFAULT_TYPES[: h.n_layer_all])
    h.marks = list(full)


def memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_kv_cache_dsa`."""
    return indexed_memory(h, run, site, lambda il: bool(h.marks[il]))


def graph(g: Context) -> None:
    """`llama_model_glm_dsa::graph`."""
    sparse_graph(g, gating(g.h, "SIGMOID"), [bool(mark) for mark in g.h.marks])
