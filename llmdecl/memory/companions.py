"""What goes with a model: projectors for images and sound, adapters."""

from dataclasses import dataclass

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.ggml import CPU_ALIGNMENT, pad, tensor_bytes
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import HOST, Placement
from llmdecl.memory.usable import LARGEST, MOST_BLOCKS

WARMUP_TOKENS_A_SIDE = 46
"""The most that a projector reserves for (`set_warmup_n_tokens`, tools/mtmd/clip.cpp)."""

MERGED = 2
"""Patches a side that become one token in models that merge them."""


@dataclass(frozen=True, slots=True)
class Projector:
    """Bytes of a projector on its one device, or on the host."""

    weights: int
    compute: int

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.compute


def projector_bytes(gguf: GgufFacts) -> Projector:
    """Weights as they are padded on a device, and a bound for the largest reserved picture.

    The work buffer is a bound: the widest phase of a transformer over all patches, its scores
    without flash attention left out (`clip_model_loader::warmup`, tools/mtmd/clip.cpp:3737).
    """
    weights = sum(
        group.count * pad(tensor_bytes(group.type, group.shape), 128) for group in gguf.tensors
    )
    vision, audio = _encoder(gguf, "vision"), _encoder(gguf, "audio")
    return Projector(weights, max(vision, audio))


def _encoder(gguf: GgufFacts, kind: str) -> int:
    def number(key: str, default: int = 0) -> int:
        value = gguf.parameter(f"{kind}.{key}")
        usable = isinstance(value, int | float) and 0 <= value <= LARGEST
        return int(value) if usable else default  # type: ignore[arg-type]  # a number

    width, inner = number("embedding_length"), number("feed_forward_length")
    if not width:
        return 0
    image, patch = number("image_size", 1500), number("patch_size", 1) or 1
    side = max(-(-image // patch), WARMUP_TOKENS_A_SIDE * MERGED if kind == "vision" else 0)
    positions = side * side if kind == "vision" else 3000
    pixels = 4 * 3 * (side * patch) ** 2 if kind == "vision" else 4 * 128 * 3000
    return 4 * positions * (3 * inner + 5 * width) + 2 * pixels


def lora_bytes(gguf: GgufFacts, placement: Placement) -> dict[str, int]:
    """An adapter's tensors by place: each beside the weight that it adapts."""
    blocks = [block for group in gguf.tensors for block in group.blocks]
    site = Site(placement, min(max(blocks, default=0), MOST_BLOCKS) + 1, ())
    names = [*(device.id for device in placement.devices), HOST]
    found = dict.fromkeys(names, 0)
    for group in gguf.tensors:
        size = tensor_bytes(group.type, group.shape)
        base = group.name.removesuffix(".lora_a").removesuffix(".lora_b")
        for block in group.blocks or (-1,):
            name = base.replace("*", str(block), 1)
            place = site.layers[min(block, site.n_layer_all)] if block >= 0 else site.cpu
            if "token_embd" in name:
                place = site.cpu
            backend = None if place == site.cpu else site.backends[place]
            alignment = backend.alignment if backend else CPU_ALIGNMENT
            found[names[place]] += pad(size, alignment)
    return {name: size for name, size in found.items() if size}
