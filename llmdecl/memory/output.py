"""Logits and embeddings that a batch hands back."""

from llmdecl.memory.hparams import Shape
from llmdecl.memory.model import RunParameters


def output_bytes(shape: Shape, run: RunParameters) -> int:
    """Bytes reserved at start for one row per slot (src/llama-context.cpp:377, 2116). Exact then.

    It grows to `n_outputs_max` rows when a batch asks for them: `output_growth_bytes`.
    """
    return _rows_bytes(shape, run, run.n_seq_max)


def output_growth_bytes(shape: Shape, run: RunParameters) -> int:
    """What it may grow by: a bound."""
    return max(0, _rows_bytes(shape, run, run.n_outputs_max) - output_bytes(shape, run))


def _rows_bytes(shape: Shape, run: RunParameters, rows: int) -> int:
    width = shape.n_vocab + (shape.n_embd if run.embedding else 0)
    return 4 * width * rows
