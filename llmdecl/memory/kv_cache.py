"""Attention caches: one row per cell and layer, once for K and once for V."""

from collections.abc import Iterable

from llmdecl.memory.ggml import CPU_ALIGNMENT, pad, row_bytes
from llmdecl.memory.hparams import Layer, Shape
from llmdecl.memory.model import RunParameters
from llmdecl.memory.parameters import CONTEXT_STEP


def swa_cells(shape: Shape, run: RunParameters) -> int:
    """Cells per stream of a sliding window's cache (src/llama-kv-cache-iswa.cpp:73-80)."""
    if run.swa_full:
        return run.n_ctx_seq
    sequences = run.n_seq_max if run.kv_unified else 1
    return pad(min(run.n_ctx_seq, shape.n_swa * sequences + run.n_ubatch), CONTEXT_STEP)


def layer_cells(shape: Shape, layer: Layer, run: RunParameters) -> int:
    """Cells per stream of one layer's cache."""
    return swa_cells(shape, run) if layer.swa else run.n_ctx_seq


def kv_cache_bytes(shape: Shape, run: RunParameters) -> int:
    """Bytes of all caches, all slots together. Exact (llama-memory.md, section 4).

    MLA keeps K only. Without flash attention V is stored transposed, as wide as the widest layer
    of its cache (src/llama-kv-cache.cpp:210).
    """
    total = 0
    for swa in (False, True):
        cached = [layer for layer in shape.layers if layer.k_width and layer.swa is swa]
        total += _cache_bytes(shape, cached, run)
    return total


def _cache_bytes(shape: Shape, layers: Iterable[Layer], run: RunParameters) -> int:
    layers = tuple(layers)
    widest = max((layer.v_width for layer in layers), default=0)
    total = 0
    for layer in layers:
        rows = layer_cells(shape, layer, run) * run.streams
        v_width = layer.v_width if run.flash_attn or not layer.v_width else widest
        total += pad(row_bytes(run.type_k, layer.k_width) * rows, CPU_ALIGNMENT)
        total += pad(row_bytes(run.type_v, v_width) * rows, CPU_ALIGNMENT)
    return total
