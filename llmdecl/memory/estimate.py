"""The ledger of one model: every part in every pool."""

from collections.abc import Collection, Iterable, Iterator

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import (
    Allocations,
    PlaceBytes,
    allocations,
    context_memory,
    loaded,
)
from llmdecl.memory.model import HOST, ON_CPU, MemoryPart, Placement, RunParameters
from llmdecl.memory.process import process_bytes
from llmdecl.memory.prompts import checkpoint_bytes, prompt_cache_bytes


def model_parts(  # noqa: PLR0917
    gguf: GgufFacts,
    digest: str,
    run: RunParameters,
    features: Collection[str],
    prefix: str = "",
    placement: Placement = ON_CPU,
) -> tuple[MemoryPart, ...]:
    """What llama.cpp allocates for one set of weights; `prefix` names a draft's parts.

    Mapped weights count once for every process that maps the file, and a mapping keeps the pages
    of repacked tensors as well; read into memory they are held once.
    """
    found = allocations(gguf, run, placement, features)
    parts = [part for place in found.places for part in _parts(place, found, digest, run)]
    return tuple(part.replace(part=prefix + part.part) for part in parts)


def _parts(
    place: PlaceBytes, found: Allocations, digest: str, run: RunParameters
) -> Iterator[MemoryPart]:
    mapped = place.place == HOST and run.mapped
    weights = place.weights + (place.repacked - place.again if mapped else 0)
    sure = place.place == HOST or not found.spread
    exact = found.known and sure
    rows = (
        ("weights", weights, sure, f"weights:{digest}" if mapped else None),
        ("repacked", place.repacked, True, None),
        ("kv-cache", place.kv_cache, exact, None),
        ("recurrent", place.recurrent, exact, None),
        ("output", place.output, exact, None),
        ("output-growth", place.output_growth, False, None),
        ("compute", place.compute, found.compute_exact, None),
        ("compute-fusions", place.fusions, False, None),
    )
    for name, size, is_exact, shared in rows:
        if size:
            yield MemoryPart(pool=place.place, part=name, bytes=size, exact=is_exact, shared=shared)


def process_parts(
    gguf: GgufFacts, run: RunParameters, placement: Placement = ON_CPU
) -> tuple[MemoryPart, ...]:
    """What llama-server and its drivers keep beside them, once a process: all bounds."""
    memory = context_memory(gguf, run)
    rows = [
        (HOST, "cache-ram", prompt_cache_bytes(memory, run)),
        (HOST, "checkpoints", checkpoint_bytes(memory, run)),
        (HOST, "process", process_bytes(loaded(gguf).h.n_vocab)),
    ]
    for device in placement.devices:
        overhead = BACKENDS[device.backend].driver_overhead
        rows.append((device.id, "driver", overhead.on(device.architecture)))
    return tuple(
        MemoryPart(pool=pool, part=part, bytes=size, exact=False)
        for pool, part, size in rows
        if size
    )


def keeps_flash_attention(
    gguf: GgufFacts, run: RunParameters, placement: Placement, features: Collection[str]
) -> bool:
    """Whether every block's attention is computed where the block is, so that `auto` stays on."""
    asked = run.replace(flash_attn=True, flash_attn_auto=True)
    return allocations(gguf, asked, placement, features).flash_attn


def total_bytes(parts: Iterable[MemoryPart], pool: str = HOST) -> int:
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
