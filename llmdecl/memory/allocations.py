"""What one set of weights takes in every place, in llama.cpp's own categories."""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeVar

from llmdecl.backends.table import BACKENDS
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.general import general_compute_bytes
from llmdecl.memory.graphs.caches import KvCache, Memory, States
from llmdecl.memory.graphs.ledger import Holdings, has_output, holdings, output_bytes, plain_bytes
from llmdecl.memory.graphs.simulate import (
    LoadedModel,
    Reserved,
    empty_model,
    load_model,
    reserve,
)
from llmdecl.memory.graphs.site import Site, split_name
from llmdecl.memory.graphs.tensor_infos import OPERATION_OF
from llmdecl.memory.model import HOST, ON_CPU, Placement, RunParameters
from llmdecl.memory.tensor_parallel import as_one_device, cuts, is_tensor_parallel
from llmdecl.memory.usable import BROKEN

T = TypeVar("T")

REMEMBERED_MODELS = 128
REMEMBERED_ALLOCATIONS = 4096


@dataclass(frozen=True, slots=True)
class PlaceBytes:
    """Bytes in one place; `place` is a device's id or `host`.

    `repacked` is the part of the host's weights that the processor has in its own order, and
    `again` what of both a mapped file has once only. `output` is for the first rows;
    `output_growth` what a batch may add.
    """

    place: str
    weights: int
    repacked: int
    again: int
    kv_cache: int
    recurrent: int
    output: int
    output_growth: int
    compute: int
    fusions: int = 0
    """What CUDA keeps beyond that, for operations on experts that it computes in one go."""

    @property
    def total(self) -> int:
        """All that is there once a model is loaded."""
        return (
            self.weights + self.repacked + self.kv_cache + self.recurrent + self.output
            + self.compute
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Allocations:
    """By place: devices in their order, the host last.

    `known`: the architecture's graph is known, so that all but the work buffers is exact, and
    those are as a dry run of llama.cpp has them (`compute_exact`: on these backends, too).
    `spread`: matrices are cut over devices, and what a device holds is a bound. `flash_attn` and
    `pipeline` are what llama.cpp decides; `layers_on_devices` counts blocks and the output.
    """

    places: tuple[PlaceBytes, ...]
    known: bool
    spread: bool
    compute_exact: bool
    flash_attn: bool
    pipeline: bool
    layers_on_devices: int
    n_layers: int

    @property
    def host(self) -> PlaceBytes:
        """The host's part."""
        return self.places[-1]


@dataclass(frozen=True, slots=True)
class LayerBytes:
    """Least bytes of each block and then of the output, as they are read; of blocks, the experts.

    Blocks for the prediction of several tokens stay unread, and count nothing.
    """

    layers: tuple[int, ...]
    experts: tuple[int, ...]


class _Memo:
    """Headers read and placements worked out, newest last: a search asks for many twice."""

    def __init__(self) -> None:
        self.models: OrderedDict[int, tuple[GgufFacts, LoadedModel]] = OrderedDict()
        self.answers: OrderedDict[tuple[object, ...], Allocations] = OrderedDict()

    def model(self, gguf: GgufFacts) -> LoadedModel:
        """Kept with its facts, so that an `id` is never another object's."""
        known = self.models.get(id(gguf))
        if known is None:
            known = gguf, load_model(gguf)
            self.models[id(gguf)] = known
            if len(self.models) > REMEMBERED_MODELS:
                old, _ = self.models.popitem(last=False)
                for key in [key for key in self.answers if key[0] == old]:
                    del self.answers[key]
        return known[1]

    def degrade(self, gguf: GgufFacts) -> None:
        """Its graph can't be built: bounds instead, and where they can't be worked out, nothing."""
        broken = self.models[id(gguf)][1]
        flaw = "its tensors and numbers do not go together"
        model = load_model(gguf, general=True) if broken.known else empty_model(gguf, flaw)
        self.models[id(gguf)] = gguf, model


_MEMO = _Memo()


def loaded(gguf: GgufFacts) -> LoadedModel:
    """A header as graphs need it."""
    return _MEMO.model(gguf)


def allocations(
    gguf: GgufFacts, run: RunParameters, placement: Placement, features: Collection[str]
) -> Allocations:
    """What llama.cpp allocates for `gguf`, without mapping its file.

    A graph of the architecture is built and reserved without data, in milliseconds; equal questions
    are answered from memory.
    """
    _MEMO.model(gguf)
    key = id(gguf), run, placement, tuple(sorted(features))
    answer = _MEMO.answers.get(key)
    if answer is None:
        answer = guarded(gguf, lambda model: _work_out(model, run, placement, features))
        _MEMO.answers[key] = answer
        if len(_MEMO.answers) > REMEMBERED_ALLOCATIONS:
            _MEMO.answers.popitem(last=False)
    return answer


def layer_bytes(gguf: GgufFacts, run: RunParameters, *, kv_offload: bool = True) -> LayerBytes:
    """Weights and caches by block: never more than is allocated for it."""
    return guarded(gguf, lambda model: _layer_bytes(model, run, kv_offload=kv_offload))


def guarded(gguf: GgufFacts, work: Callable[[LoadedModel], T]) -> T:
    """What `work` says of a header; of one that is not as its architecture's graph wants it, what
    it says by general rules. An empty model never fails."""
    while True:
        model = _MEMO.model(gguf)
        try:
            return work(model)
        except BROKEN:
            if model.flaw is not None:
                raise
            _MEMO.degrade(gguf)


def _layer_bytes(model: LoadedModel, run: RunParameters, *, kv_offload: bool) -> LayerBytes:
    h = model.h
    sizes, experts = [0] * (h.n_layer_all + 1), [0] * h.n_layer_all
    for name, kind, ne in model.used:
        block, base, _ = split_name(name)
        size = plain_bytes(kind, ne)
        if block >= 0:
            sizes[block] += size
            experts[block] += size if OPERATION_OF.get(base) == "MUL_MAT_ID" else 0
        elif base == "output" or (base == "token_embd" and not sizes[-1] and has_output(model)):
            sizes[-1] = size
    if kv_offload:
        site = Site(ON_CPU, h.n_layer_all, ())
        memory = model.architecture.memory(h, run, site)
        held: list[KvCache | States] = [*memory.caches(), *memory.states()]
        for cache in held:
            for il, size in cache.layer_bytes():
                sizes[il] += size
    return LayerBytes(tuple(sizes), tuple(experts))


def context_memory(gguf: GgufFacts, run: RunParameters) -> Memory:
    """Caches and states of a context, wherever they are."""

    def work(model: LoadedModel) -> Memory:
        return model.architecture.memory(model.h, run, Site(ON_CPU, model.h.n_layer_all, ()))

    return guarded(gguf, work)


def one_device(placement: Placement) -> Placement:
    """`--split-mode none` uses the main device only."""
    if placement.split_mode != "none" or len(placement.devices) < 2:
        return placement
    main = min(max(placement.main_gpu, 0), len(placement.devices) - 1)
    return placement.replace(devices=(placement.devices[main],), main_gpu=0)


def _work_out(
    model: LoadedModel, run: RunParameters, placement: Placement, features: Collection[str]
) -> Allocations:
    together = is_tensor_parallel(placement)
    alone = as_one_device(placement) if together else one_device(placement)
    site = Site(alone, model.h.n_layer_all, features, run.repack)
    reserved = reserve(model, run, site) if model.known else _general(model, run, site)
    memory = model.architecture.memory(model.h, run, site)
    held = holdings(model, run, site, memory)
    placed = {
        device.id: replace(
            _place(device.id, held, reserved, index), fusions=reserved.fusions[index]
        )
        for index, device in enumerate(alone.devices)
    }
    growth = output_bytes(model, run, run.n_outputs_max) - held.of(site.cpu).output
    if together:
        whole = placed[alone.devices[0].id]
        found = cuts(model, site, placement, memory.caches(), whole.weights)
        for device, cut in zip(placement.devices, found, strict=True):
            placed[device.id] = replace(
                whole, place=device.id, weights=cut.weights, kv_cache=cut.kv_cache
            )
    empty = Holdings()
    devices = tuple(
        placed.get(device.id) or _place(device.id, empty, reserved, -1)
        for device in placement.devices
    )
    host = _place(HOST, held, reserved, site.cpu, growth)
    return Allocations(
        places=(*devices, host),
        known=model.known,
        spread=placement.split_mode in ("row", "tensor") and len(placement.devices) > 1,
        compute_exact=model.known
        and not reserved.pipeline
        and placement.split_mode in ("none", "layer")
        and all(BACKENDS[device.backend].name in EXACT_BACKENDS for device in alone.devices),
        flash_attn=reserved.flash_attn,
        pipeline=reserved.pipeline,
        layers_on_devices=sum(place != site.cpu for place in site.layers) if site.cpu else 0,
        n_layers=len(site.layers),
    )


EXACT_BACKENDS = frozenset({"cuda", "hip", "rpc"})
"""Backends that compute the graph as it is; others reorder it, and need a little less."""


def _place(
    name: str, held: Holdings, reserved: Reserved, index: int, growth: int = 0
) -> PlaceBytes:
    if index < 0:
        return PlaceBytes(name, 0, 0, 0, 0, 0, 0, 0, 0)
    one = held.of(index)
    return PlaceBytes(
        name, one.weights, one.repacked, one.again, one.kv, one.recurrent, one.output, growth,
        reserved.compute[index],
    )  # fmt: skip


def _general(model: LoadedModel, run: RunParameters, site: Site) -> Reserved:
    """An architecture without a graph: a bound for every place."""
    bound = general_compute_bytes(model.h, run)
    streamed = max((size for size in _host_matrices(model, site)), default=0)
    count = len(site.backends)
    return Reserved(
        compute=(*(bound + streamed for _ in range(count)), bound),
        fusions=(0,) * (count + 1),
        flash_attn=run.flash_attn,
        pipeline=site.pipeline,
        graph_splits=0,
    )


def _host_matrices(model: LoadedModel, site: Site) -> list[int]:
    """Sizes of host weights that a device may copy to itself, twice: two can be alive at once."""
    if not site.cpu or not site.placement.op_offload:
        return []
    return [
        2 * kind.row_bytes(ne[0]) * ne[1] * (ne[2] if len(ne) > 2 else 1)
        for name, (kind, ne) in model.tensors.items()
        if len(ne) > 1 and site.buffer(name, kind, ne).place == site.cpu
    ]
