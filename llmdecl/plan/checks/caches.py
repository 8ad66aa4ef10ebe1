"""Cache settings that llama.cpp would refuse, or that would do nothing."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.memory.allocations import loaded
from llmdecl.memory.ggml import TYPES
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject


def check_caches(subject: Subject) -> Iterator[Diagnostic]:
    """Types of K and V, the prompt cache (src/llama-context.cpp:3835-3848)."""
    context, shape = subject.server.context, subject.server.shape
    k, v = context.cache_type_k, context.cache_type_v
    if shape.mla and k.value != v.value:
        summary = (
            f"`cache-type-k` is `{k.value}` and `cache-type-v` is `{v.value}`, one cache for both"
        )
        yield rules.CACHE_TYPES_DIFFER.at((k if k.given else v).address, summary)
    for choice, width in ((k, shape.head_k), (v, shape.head_v)):
        block = TYPES[choice.value.upper()].block_size
        if shape.attends and width % block:
            summary = f"heads are {width} wide, `{choice.value}` has blocks of {block}"
            yield rules.CACHE_TYPE_UNEVEN.at(choice.address, summary)
    idle = context.cache_idle_slots
    if idle.value and not context.cache_ram.value:
        summary = f"`cache-idle-slots` of `{subject.name}` has no `cache-ram` to keep slots in"
        yield rules.IDLE_SLOTS.at(idle.address, summary)


def check_architecture(subject: Subject) -> Iterator[Diagnostic]:
    """Memory rules exist for it."""
    for pinned in (subject.weights, subject.draft):
        gguf = pinned.gguf if pinned else None
        if pinned is None or gguf is None or gguf.type != "model":
            continue
        model = loaded(gguf)
        if model.flaw is not None or not model.h.n_layer_all:
            why = model.flaw or "it has no layers"
            summary = f"`{pinned.source}` is no model that can be served: {why}"
            yield rules.MODEL_IMPOSSIBLE.at(pinned.address, summary)
        elif not model.known:
            summary = f"the memory rules of `{gguf.architecture}` are not known exactly"
            yield rules.ARCHITECTURE_UNKNOWN.at(pinned.address, summary)
