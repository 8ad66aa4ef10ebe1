"""State of recurrent layers: convolution and recurrence, one row per slot, always f32."""

from llmdecl.memory.ggml import CPU_ALIGNMENT, pad
from llmdecl.memory.hparams import Shape
from llmdecl.memory.model import RunParameters


def recurrent_bytes(shape: Shape, run: RunParameters) -> int:
    """Bytes for all slots, whatever the context. Exact (src/llama-memory-recurrent.cpp:101).

    With speculation more rows are kept to roll back; that is not covered.
    """
    rows = max(1, run.n_seq_max)
    return sum(
        pad(4 * layer.r_width * rows, CPU_ALIGNMENT) + pad(4 * layer.s_width * rows, CPU_ALIGNMENT)
        for layer in shape.layers
    )
