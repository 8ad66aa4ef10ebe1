"""Prompts that llama-server keeps aside in host memory: the prompt cache and the checkpoints."""

from llmdecl.memory.hparams import Shape
from llmdecl.memory.kv_cache import kv_cache_bytes
from llmdecl.memory.model import RunParameters
from llmdecl.memory.recurrent import recurrent_bytes


def prompt_cache_bytes(shape: Shape, run: RunParameters) -> int:
    """A bound: `--cache-ram`, and one prompt more, which the server keeps even beyond the limit."""
    if not run.cache_ram_bytes:
        return 0
    state = kv_cache_bytes(shape, run) // run.streams + recurrent_bytes(shape, run)
    return run.cache_ram_bytes + state


def checkpoint_bytes(shape: Shape, run: RunParameters) -> int:
    """A bound: every slot full of checkpoints of its sliding windows and recurrent state.

    Models with full attention only make none (llama.cpp pull request 15293).
    """
    if not run.ctx_checkpoints or not (shape.windowed or shape.recurrent):
        return 0
    sliding = shape_without_full_layers(shape)
    windows = kv_cache_bytes(sliding, run) // run.streams
    states = recurrent_bytes(shape, run) // run.n_seq_max
    return run.ctx_checkpoints * run.n_seq_max * (windows + states)


def shape_without_full_layers(shape: Shape) -> Shape:
    """Only the layers that slide their window."""
    from dataclasses import replace

    return replace(shape, layers=tuple(layer for layer in shape.layers if layer.swa))
