"""Weights, caches, states and results by buffer: what llama.cpp holds beside its work buffers.

Exact for every architecture in the table, by the rules of `llama-memory`: each tensor padded to
its buffer's alignment (ggml/src/ggml-alloc.c:1168-1206).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml import pad
from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.caches import Memory
from llmdecl.memory.graphs.simulate import LoadedModel
from llmdecl.memory.graphs.site import CPU_ALIGNMENT, Buffer, Site, padding_bytes, split_name
from llmdecl.memory.model import RunParameters

BY_LAYER = frozenset({"rope_freqs", "rope_factors_long", "rope_factors_short"})
"""Tensors outside the blocks of which each buffer in use by blocks has a copy."""


@dataclass(slots=True)
class Held:
    """Bytes in one place. `repacked` is the host's second copy format, beside `weights`."""

    weights: int = 0
    repacked: int = 0
    again: int = 0
    """Of those, second copies of tensors that a mapped file has once."""
    kv: int = 0
    recurrent: int = 0
    output: int = 0


@dataclass(slots=True)
class Holdings:
    """By backend number, the host last."""

    places: list[Held] = field(default_factory=list)

    def of(self, place: int) -> Held:
        """What is held in one place."""
        return self.places[place]


def holdings(model: LoadedModel, run: RunParameters, site: Site, memory: Memory) -> Holdings:
    """Everything that outlives a batch. `memory` is the context's."""
    found = Holdings([Held() for _ in range(site.cpu + 1)])
    for buffer, size, again in weight_buffers(model, site):
        held = found.of(buffer.place)
        held.again += size if again else 0
        if buffer.kind == "repacked":
            held.repacked += size
        else:
            held.weights += size
    for cache in memory.caches():
        for place, size in cache.tensors():
            found.of(place).kv += pad(size, _alignment(site, place))
    for states in memory.states():
        for place, size in states.tensors():
            found.of(place).recurrent += pad(size, _alignment(site, place))
    found.of(site.cpu).output = output_bytes(model, run)
    return found


def output_bytes(model: LoadedModel, run: RunParameters, rows: int | None = None) -> int:
    """Logits, and embeddings where asked for, of one row a slot (src/llama-context.cpp:2116)."""
    h = model.h
    width = h.n_vocab + (h.n_embd_out if run.embedding or h.arch == "t5" else 0)
    return 4 * width * max(rows or 0, run.n_seq_max)


def _alignment(site: Site, place: int) -> int:
    return CPU_ALIGNMENT if place == site.cpu else site.backends[place].alignment


def weight_buffers(model: LoadedModel, site: Site) -> Iterator[tuple[Buffer, int, bool]]:
    """Every tensor with its buffer and padded size; copies come as further rows, and say so."""
    tied = "output.weight" not in model.tensors and "token_embd.weight" in model.tensors
    for name, kind, ne in model.used:
        if split_name(name)[1] in BY_LAYER and split_name(name)[0] < 0:
            seen: set[int] = set()
            for buffer in _layer_buffers(model, site, name, kind, ne):
                yield buffer, _size(site, buffer, kind, ne), buffer.place in seen
                seen.add(buffer.place)
            continue
        buffer = site.buffer(name, kind, ne, layer=first_layer(model, name))
        yield buffer, _size(site, buffer, kind, ne), False
        if tied and name == "token_embd.weight" and has_output(model):
            again = site.buffer("output.weight", kind, ne)
            if again != buffer or model.h.output_first:
                yield again, _size(site, again, kind, ne), True


NO_OUTPUT = frozenset(
    {"bert", "bitnet", "eurobert", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert",
     "nomic-bert", "nomic-bert-moe", "wavtokenizer-dec"}
)  # fmt: skip
"""Architectures that make no output matrix of the embedding's: encoders, and bitnet reads that."""


def has_output(model: LoadedModel) -> bool:
    """A file without an output matrix has the embedding's once more."""
    return model.h.arch not in NO_OUTPUT


def first_layer(model: LoadedModel, name: str) -> int:
    """The block that a tensor outside the blocks is created with, -1: none or as its name says.

    lfm2 calls its last norm as others call the first (`LLM_TENSOR_OUTPUT_NORM_LFM2`).
    """
    last = model.h.arch in ("lfm2", "lfm2moe") and name.startswith("token_embd_norm.")
    return model.h.n_layer_all if last else -1


def _layer_buffers(
    model: LoadedModel, site: Site, name: str, kind: TensorType, ne: tuple[int, ...]
) -> list[Buffer]:
    h = model.h
    layers = [il for il in range(model.n_layer) if not (h.full_only_freqs and h.is_swa[il])]
    buffers = {site.buffer(name, kind, ne, layer=il) for il in layers}
    return sorted(buffers, key=lambda buffer: (buffer.place, buffer.kind))


def plain_bytes(kind: TensorType, ne: tuple[int, ...]) -> int:
    """Bytes of a tensor as the file has it."""
    size = kind.row_bytes(ne[0])
    for n in ne[1:]:
        size *= n
    return size


def _size(site: Site, buffer: Buffer, kind: TensorType, ne: tuple[int, ...]) -> int:
    if buffer.place == site.cpu:
        return _held_bytes(kind, ne, CPU_ALIGNMENT, pads=False)
    backend = site.backends[buffer.place]
    return _held_bytes(kind, ne, backend.alignment, pads=backend.pads_quantized_rows)


@lru_cache(maxsize=1 << 14)
def _held_bytes(kind: TensorType, ne: tuple[int, ...], alignment: int, *, pads: bool) -> int:
    """Bytes of a weight in a buffer (`site.device_bytes` of a tensor without operands)."""
    n = (*ne, 1, 1, 1)[:4]
    tensor = Tensor("NONE", kind, (n[0], n[1], n[2], n[3]))
    more = padding_bytes(tensor) if pads else 0
    return pad(tensor.nbytes + more, alignment)
