"""Cache settings that llama.cpp would refuse, or that would do nothing."""

from collections.abc import Iterator

from llmdecl.diagnostics import Diagnostic
from llmdecl.memory.ggml import TYPES
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject

PLAIN = ("f32", "f16", "bf16")


def check_caches(subject: Subject) -> Iterator[Diagnostic]:
    """Types of K and V, flash attention, the prompt cache (src/llama-context.cpp:3835-3848)."""
    context, shape = subject.server.context, subject.server.shape
    k, v = context.cache_type_k, context.cache_type_v
    if v.value not in PLAIN and not context.flash_attn.value:
        summary = f"`cache-type-v` is `{v.value}` and `flash-attn` is off"
        yield rules.QUANTISED_V.at(v.address, summary)
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
        known = subject.server.shape.known if gguf is subject.gguf else True
        if not known:
            summary = f"the memory rules of `{gguf.architecture}` are not known exactly"
            yield rules.ARCHITECTURE_UNKNOWN.at(pinned.address, summary)


def check_placement(subject: Subject) -> Iterator[Diagnostic]:
    """Layers for accelerators are not silently left to the processor."""
    layers = subject.server.computing.n_gpu_layers
    if layers.value > 0:
        summary = f"`n-gpu-layers` is {layers.value}, but models are placed on the processor only"
        yield rules.NO_DEVICE.at(layers.address, summary)
