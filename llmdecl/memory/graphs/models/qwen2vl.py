"""qwen2vl (src/models/qwen2vl.cpp): qwen2 with four positions a token."""

from llmdecl.memory.graphs.hparams import HParams


def hparams(h: HParams) -> None:
    """`load_arch_hparams`."""
    h.n_pos_per_embd = 4
