"""Everything that a model takes, part by part and pool by pool, in a given place."""

from collections.abc import Iterator, Sequence

from llmdecl.memory.companions import lora_bytes, projector_bytes
from llmdecl.memory.estimate import (
    keeps_flash_attention,
    model_parts,
    process_parts,
    total_bytes,
)
from llmdecl.memory.model import ON_CPU, MemoryPart, Placement
from llmdecl.plan.model import DevicePlan
from llmdecl.plan.sizes import layer_count
from llmdecl.plan.subject import Resolved


def ledger(resolved: Resolved, placement: Placement) -> tuple[MemoryPart, ...]:
    """The model's, the draft's, the projector's and the process's parts."""
    run = resolved.run
    host = resolved.host
    parts = model_parts(
        resolved.gguf, resolved.weights.digest, run, host.features, placement=placement
    )
    draft = resolved.draft
    if draft is not None and draft.gguf is not None:
        beside = run.replace(n_outputs_max=resolved.server.context.parallel.value, embedding=False)
        parts += model_parts(
            draft.gguf,
            draft.digest,
            beside,
            host.features,
            prefix="draft-",
            placement=draft_placement(placement, layer_count(draft.gguf)),
        )
    parts += tuple(_mmproj(resolved, placement))
    parts += tuple(_loras(resolved, placement))
    parts += process_parts(resolved.gguf, run, placement)
    return parts + tuple(_mirrored(parts, host.devices))


def attends_at_home(resolved: Resolved, placement: Placement) -> bool:
    """Flash attention, where the plan has turned it on, is computed on the device of each layer.

    That can only fail where layers or caches are apart: llama.cpp would turn its own `auto` off.
    Where the spec says `on`, it is on.
    """
    run = resolved.run
    whole = placement.n_gpu_layers >= layer_count(resolved.gguf) and placement.kv_offload
    given = resolved.pick.given("flash-attn", str)
    asked = given is not None and given.value == "on"
    if whole or asked or not run.flash_attn or not placement.devices:
        return True
    return keeps_flash_attention(resolved.gguf, run, placement, resolved.host.features)


def draft_placement(placement: Placement, layers: int) -> Placement:
    """A draft is whole on the first device of its model, or on the CPU with it."""
    if not placement.n_gpu_layers:
        return ON_CPU
    return placement.replace(
        devices=placement.devices[:1], n_gpu_layers=layers, tensor_split=(), overrides=()
    )


def _mmproj(resolved: Resolved, placement: Placement) -> Iterator[MemoryPart]:
    """The projector: whole on the model's first device, or on the host."""
    gguf = resolved.mmproj.gguf if resolved.mmproj else None
    if gguf is None:
        return
    offload = resolved.server.mmproj is None or resolved.server.mmproj.offload.value
    there = placement.devices if offload and placement.n_gpu_layers else ()
    pool = there[0].id if there else "host"
    took = projector_bytes(gguf)
    yield MemoryPart(pool=pool, part="mmproj", bytes=took.weights, exact=True)
    if took.compute:
        yield MemoryPart(pool=pool, part="mmproj-compute", bytes=took.compute, exact=False)


def _loras(resolved: Resolved, placement: Placement) -> Iterator[MemoryPart]:
    """Adapters: each tensor where the weight is that it adapts."""
    for lora in resolved.loras:
        if lora.gguf is not None:
            for pool, size in lora_bytes(lora.gguf, placement).items():
                yield MemoryPart(pool=pool, part="lora", bytes=size, exact=False)


def _mirrored(parts: Sequence[MemoryPart], devices: Sequence[DevicePlan]) -> Iterator[MemoryPart]:
    """What a device holds of the host's memory, which counts there as well.

    Of a device that has dedicated memory too, the share that is the host's: never less than what
    is beyond the dedicated part, and a sum over models is right.
    """
    for device in devices:
        held = total_bytes(parts, device.id) if device.shares_host_memory else 0
        if held:
            common = max(0, device.memory_bytes - device.dedicated_bytes)
            counted = -(-held * common // max(1, device.memory_bytes))
            yield MemoryPart(pool="host", part=f"on {device.id}", bytes=counted, exact=False)
