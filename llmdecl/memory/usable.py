"""Headers that nothing can be worked out from: what they say is impossible, however they load."""

from collections.abc import Iterator
from math import prod

from llmdecl.facts.model import GgufFacts, Scalar

MOST_BLOCKS = 512
"""`LLAMA_MAX_LAYERS` (src/llama-hparams.h:11): llama.cpp refuses more."""

MOST_EXPERTS = 1024
"""`LLAMA_MAX_EXPERTS`."""

MOST = {
    "block_count": MOST_BLOCKS,
    "expert_count": MOST_EXPERTS,
    "expert_used_count": MOST_EXPERTS,
}

SMALLEST, LARGEST = -(1 << 31), (1 << 32) - 1
"""Numbers of a header are 32 bits wide where llama.cpp reads them."""

MOST_BYTES = 1 << 60

BROKEN = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip
"""What comes of building a graph from a header that lacks tensors or has others than it says."""


def flaw_of(gguf: GgufFacts) -> str | None:
    """What is impossible about `gguf`, or `None`; `None` promises small lists, not sense."""
    return next(_flaws(gguf), None)


def _flaws(gguf: GgufFacts) -> Iterator[str]:
    for key, most in MOST.items():
        count = _largest(gguf.parameter(key))
        if not 0 <= count <= most:
            yield f"`{key}` is {count}, llama.cpp takes {most} at most"
    prefix = f"{gguf.architecture}."
    for key, value in gguf.parameters.items():
        if key.startswith(prefix) and not _is_small(value):
            yield f"`{key}` is {value}"
    for group in gguf.tensors:
        size = group.count * 4 * prod(group.shape)
        if not 1 <= len(group.shape) <= 4 or not 0 < size <= MOST_BYTES:
            yield f"`{group.name}` has the shape {group.shape}"


def _is_small(value: Scalar | tuple[Scalar, ...]) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(SMALLEST <= n <= LARGEST for n in numbers if isinstance(n, int))


def _largest(value: Scalar | tuple[Scalar, ...] | None) -> float:
    numbers = value if isinstance(value, tuple) else (value,)
    return max((n for n in numbers if isinstance(n, int | float)), default=0)


def hollow(gguf: GgufFacts) -> GgufFacts:
    """The same name with nothing in it: every estimate of it is nothing."""
    return gguf.replace(parameters={}, tensors=())
