"""Prompts that llama-server keeps aside in host memory: the prompt cache and the checkpoints."""

from llmdecl.memory.graphs.caches import KvCache, Memory
from llmdecl.memory.model import RunParameters


def _bytes(caches: tuple[KvCache, ...]) -> int:
    return sum(size for cache in caches for _, size in cache.tensors())


def _states(memory: Memory) -> int:
    return sum(size for states in memory.states() for _, size in states.tensors())


def prompt_cache_bytes(memory: Memory, run: RunParameters) -> int:
    """A bound: `--cache-ram`, and one prompt more, which the server keeps even beyond the limit."""
    if not run.cache_ram_bytes:
        return 0
    return run.cache_ram_bytes + _bytes(memory.caches()) // run.streams + _states(memory)


def checkpoint_bytes(memory: Memory, run: RunParameters) -> int:
    """A bound: every slot full of checkpoints of its sliding windows and recurrent state.

    Models with full attention only make none (llama.cpp pull request 15293).
    """
    sliding = (memory.swa,) if memory.swa is not None else ()
    if not run.ctx_checkpoints or not (sliding or memory.states()):
        return 0
    windows = _bytes(sliding) // run.streams
    states = _states(memory) // run.n_seq_max
    return run.ctx_checkpoints * run.n_seq_max * (windows + states)
