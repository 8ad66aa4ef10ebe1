"""The ledger of one model on one host: every part, each by its own rule."""

from collections.abc import Collection, Iterable

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.compute import compute_bytes
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.kv_cache import kv_cache_bytes
from llmdecl.memory.model import ON_CPU, MemoryPart, Placement, RunParameters
from llmdecl.memory.output import output_bytes, output_growth_bytes
from llmdecl.memory.process import process_bytes
from llmdecl.memory.prompts import checkpoint_bytes, prompt_cache_bytes
from llmdecl.memory.recurrent import recurrent_bytes
from llmdecl.memory.weights import weights_parts


def model_parts(
    gguf: GgufFacts,
    digest: str,
    run: RunParameters,
    features: Collection[str],
    prefix: str = "",
    placement: Placement = ON_CPU,  # noqa: ARG001
) -> tuple[MemoryPart, ...]:
    """What llama.cpp allocates for one set of weights; `prefix` names a draft's parts."""
    shape = shape_of(gguf)
    rows = (
        ("kv-cache", kv_cache_bytes(shape, run), shape.known),
        ("recurrent", recurrent_bytes(shape, run), shape.known),
        ("output", output_bytes(shape, run), True),
        ("output-growth", output_growth_bytes(shape, run), False),
        ("compute", compute_bytes(shape, run), False),
    )
    parts = (
        *weights_parts(gguf, digest, run, features),
        *(MemoryPart(pool="host", part=p, bytes=b, exact=exact) for p, b, exact in rows if b),
    )
    return tuple(part.replace(part=prefix + part.part) for part in parts)


def process_parts(gguf: GgufFacts, run: RunParameters) -> tuple[MemoryPart, ...]:
    """What llama-server keeps beside them, once a process: all bounds."""
    shape = shape_of(gguf)
    rows = (
        ("cache-ram", prompt_cache_bytes(shape, run)),
        ("checkpoints", checkpoint_bytes(shape, run)),
        ("process", process_bytes(shape)),
    )
    return tuple(MemoryPart(pool="host", part=p, bytes=b, exact=False) for p, b in rows if b)


def total_bytes(parts: Iterable[MemoryPart], pool: str = "host") -> int:
    """Bytes of a pool; equal shared parts count once, at their largest."""
    private, shared = 0, dict[str, int]()
    for part in parts:
        if part.pool != pool:
            continue
        if part.shared is None:
            private += part.bytes
        else:
            shared[part.shared] = max(shared.get(part.shared, 0), part.bytes)
    return private + sum(shared.values())
