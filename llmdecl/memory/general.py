"""Rules for an architecture whose graph is not known: bounds, not sizes.

A feed-forward network, attention and experts as most architectures have them, widened by half.
"""

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.compute import compute_bytes
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import RunParameters


def general_compute_bytes(gguf: GgufFacts, run: RunParameters) -> int:
    """A work buffer that holds every input four times and the widest phase that is common."""
    return 2 * compute_bytes(shape_of(gguf), run)
