"""Which buffer holds which tensor: layers to devices, weights to buffers, as llama.cpp decides."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from llmdecl.backends.model import Backend
from llmdecl.backends.table import BACKENDS
from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml.gallocr import Pool
from llmdecl.memory.ggml.ops import VIEWS
from llmdecl.memory.ggml.tensor import Tensor
from llmdecl.memory.graphs.cuda_operations import COMPUTED, READ
from llmdecl.memory.graphs.tensor_infos import INPUT, OPERATION_OF, OUTPUT
from llmdecl.memory.layer_split import cumulated, owner
from llmdecl.memory.model import Placement

CPU_ALIGNMENT = 32
QUANTIZED_ROW = 512
"""CUDA pads quantised rows to this many elements (`MATRIX_ROW_PADDING`)."""

REPACK_X86 = {"Q4_0": "avx2", "Q4_K": "avx2", "IQ4_NL": "avx2", "MXFP4": "avx2", "Q2_K": "avx512f"}
"""Types that x86 repacks and the kernel's name of the feature it takes (ggml-cpu/repack.cpp)."""

REPACK_ARM = dict.fromkeys(
    ("Q4_0", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4", "Q2_K"), "asimddp"
)
"""The same for ARM; i8mm machines have dot products too."""

FIRST_BLOCK = frozenset(
    {"conv1d", "hrm.z_l_init", "per_layer_model_proj", "per_layer_proj_norm", "token_embd_norm"}
)
"""Tensors outside the blocks that go where the first block is."""

_BLOCK = re.compile(r"^((?:enc\.|dec\.)?blk|posnet|convnext)\.(\d+)\.(.*)$")
_SUFFIXES = (".weight", ".bias", ".scale", ".input_scale")


@lru_cache(maxsize=1 << 16)
def split_name(name: str) -> tuple[int, str, str]:
    """`blk.7.attn_q.weight` as 7, `attn_q`, `weight`; a block of -1 is none."""
    match = _BLOCK.match(name)
    block, rest = (int(match[2]), match[3]) if match else (-1, name)
    if match and match[1] in ("posnet", "convnext"):
        rest = f"{match[1]}.%d.{rest}"
    for suffix in _SUFFIXES:
        if rest.endswith(suffix):
            return block, rest[: -len(suffix)], suffix[1:]
    return block, rest, ""


Override = tuple[Callable[[str], object], str]
"""A search in a tensor's name, and the buffer of what it finds."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """`--override-tensor` in order. `blocks`: those that can concern a block's tensors, where
    some expressions name another block; `rest` for every other block, `every` for any name."""

    every: tuple[Override, ...]
    rest: tuple[Override, ...]
    blocks: Mapping[int, tuple[Override, ...]]

    def of(self, block: int) -> tuple[Override, ...]:
        """Those to try for a name in `block`; -1: outside the blocks."""
        return self.blocks.get(block, self.rest) if block >= 0 else self.every


_ONE_BLOCK = re.compile(r"blk\\\.(\d+)\\\.[^|]*(?:\([^()]*\)[^|]*)*$")
"""An expression that begins with one block's name, and has alternatives in brackets only."""


@lru_cache(maxsize=256)
def overrides_by_block(given: tuple[tuple[str, str], ...]) -> Overrides:
    """Compiled, and sorted by the block that an expression names: of hundreds few can match."""
    every = tuple((re.compile(expression).search, target) for expression, target in given)
    named = [_ONE_BLOCK.match(expression) for expression, _ in given]
    blocks = [int(match[1]) if match else None for match in named]
    return Overrides(
        every=every,
        rest=tuple(each for each, block in zip(every, blocks, strict=True) if block is None),
        blocks={
            one: tuple(
                each for each, block in zip(every, blocks, strict=True) if block in (None, one)
            )
            for one in set(blocks)
            if one is not None
        },
    )


@dataclass(frozen=True, slots=True)
class Buffer:
    """Where a weight is: `place` is a backend's number, the last one the host.

    `kind` tells host buffers apart: `cpu`, `pinned` or `repacked`; it is empty on a device.
    """

    place: int
    kind: str = ""

    @property
    def streamable(self) -> bool:
        """A device may read it from plain host memory."""
        return self.kind in ("cpu", "pinned")


@dataclass(slots=True)
class Site:
    """Devices, and what goes where. `features` are the processor's, by the kernel's names."""

    placement: Placement
    n_layer_all: int
    features: Collection[str]
    repack: bool = True
    backends: list[Backend] = field(init=False)
    cpu: int = field(init=False)
    """The number of the host's backend."""
    layers: list[int] = field(init=False)
    """The backend of every block, and of the output at the end."""
    _on_devices: list[Buffer] = field(init=False)
    _shares: list[float] = field(init=False)
    _overrides: "Overrides" = field(init=False)
    _chosen: dict[tuple[str, int], Buffer] = field(init=False, default_factory=dict)
    _hosted: dict[tuple[str, str, str, tuple[int, ...]], Buffer] = field(
        init=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        placement = self.placement
        self.backends = [BACKENDS[device.backend] for device in placement.devices]
        self.cpu = len(self.backends)
        self._on_devices = [Buffer(place) for place in range(self.cpu)]
        self._shares = self._points()
        self._overrides = overrides_by_block(placement.overrides)
        self.layers = [self._layer(il) for il in range(self.n_layer_all + 1)]

    @property
    def full_offload(self) -> bool:
        """Every block and the output are on devices."""
        return self.placement.n_gpu_layers > self.n_layer_all

    @property
    def pipeline(self) -> bool:
        """Prompts flow through several devices at once (src/llama-context.cpp:430-457)."""
        placement = self.placement
        return (
            len(self.backends) > 1
            and self.full_offload
            and placement.split_mode == "layer"
            and placement.kv_offload
            and not placement.overrides
            and all(backend.asynchronous for backend in self.backends)
        )

    @property
    def pinned(self) -> bool:
        """The first device that has pinned host buffers lends them to the host's weights."""
        return any(backend.host_buffer for backend in self.backends) and not self.placement.no_host

    def _layer(self, il: int) -> int:
        """src/llama-model.cpp:1558-1601; all shares in float32."""
        placement, count = self.placement, self.n_layer_all
        if not placement.devices:
            return 0
        start = max(count + 1 - placement.n_gpu_layers, 0)
        active = min(placement.n_gpu_layers, count + 1)
        if il < start or il - start >= active:
            return self.cpu
        if placement.split_mode == "none":
            return 0
        return owner(self._shares, il - start, active)

    def _points(self) -> list[float]:
        placement = self.placement
        given = placement.tensor_split
        if not any(given):
            given = tuple(float(device.free_bytes) for device in placement.devices)
        return cumulated(given)[: len(self.backends) - 1]

    # weights

    def buffer(
        self, name: str, kind: TensorType, ne: tuple[int, ...], *, layer: int = -1
    ) -> Buffer:
        """The buffer of a weight. `layer` is the block that uses a tensor outside the blocks.

        A name has one type and shape in a model, so that an answer holds for the name.
        """
        key = name, layer
        found = self._chosen.get(key)
        if found is None:
            found = self._chosen[key] = self._choose(name, kind, ne, layer)
        return found

    def _choose(self, name: str, kind: TensorType, ne: tuple[int, ...], layer: int) -> Buffer:
        place = self.place(name, layer=layer)
        _, base, suffix = split_name(name)
        if place != self.cpu:
            if suffix == "bias" or self._reads(place, base, ne):
                return self._on_devices[place]
            return Buffer(self.cpu, "cpu")
        like = base, suffix, kind.name, ne
        host = self._hosted.get(like)
        if host is None:
            host = self._hosted[like] = self._on_host(base, suffix, kind, ne)
        return host

    def place(self, name: str, *, layer: int = -1) -> int:
        """The backend that has a weight, whatever its type and shape."""
        own, base, _ = split_name(name)
        block = layer if own < 0 <= layer else own
        if base in FIRST_BLOCK and layer < 0:
            block = 0
        for search, target in self._overrides.of(own):
            if search(name):
                return self.cpu if target == "CPU" else self._device(target)
        return self._list(block, base)

    def _reads(self, place: int, base: str, ne: tuple[int, ...]) -> bool:
        """Whether a device computes with a weight: odd convolutions and scans are refused.

        `weight_buft_supported` (src/llama-model-loader.cpp:927), but for Mamba 2's scans.
        """
        check = READ.get(base)
        return check is None or self.backends[place].computes_all or check(ne)

    def _device(self, target: str) -> int:
        """A device by our id, or by the engine's name for it (`CUDA1`)."""
        devices = self.placement.devices
        names = [device.id for device in devices]
        if target not in names:
            counts: dict[str, int] = {}
            names = []
            for backend in self.backends:
                counts[backend.name] = counts.get(backend.name, -1) + 1
                names.append(f"{backend.device_prefix}{counts[backend.name]}")
        return names.index(target) if target in names else self.cpu

    def _list(self, block: int, base: str) -> int:
        if block >= 0:
            return self.layers[min(block, self.n_layer_all)]
        if base in INPUT and base not in OUTPUT:
            return self.cpu
        return self.layers[self.n_layer_all]

    def _on_host(self, base: str, suffix: str, kind: TensorType, ne: tuple[int, ...]) -> Buffer:
        if self.pinned:
            return Buffer(self.cpu, "pinned")
        if self.repack and suffix == "weight" and self._repacks(base, kind, ne):
            return Buffer(self.cpu, "repacked")
        return Buffer(self.cpu, "cpu")

    def _repacks(self, base: str, kind: TensorType, ne: tuple[int, ...]) -> bool:
        """ggml/src/ggml-cpu/repack.cpp:4974-5230."""
        operation = OPERATION_OF.get(base, "MUL")
        dimensions = 1 + max((i for i, n in enumerate(ne) if n > 1), default=0)
        if (operation, dimensions) not in (("MUL_MAT", 2), ("MUL_MAT_ID", 3)):
            return False
        arm = "asimd" in self.features
        needed = (REPACK_ARM if arm else REPACK_X86).get(kind.name)
        return needed in self.features and ne[1] % (4 if arm else 8) == 0

    # sizes

    def alloc_size(self, place: int, tensor: Tensor) -> int:
        """`ggml_backend_buft_get_alloc_size` of a buffer, without padding to its alignment."""
        if place == self.cpu:
            return tensor.nbytes
        return device_bytes(self.backends[place], tensor)

    def pools(self) -> list[Pool]:
        """Empty work buffers, one a backend."""
        devices = [
            Pool(backend.alignment, lambda t, b=backend: device_bytes(b, t))  # type: ignore[misc]
            for backend in self.backends
        ]
        return [*devices, Pool(CPU_ALIGNMENT, host_bytes)]

    def supports(self, place: int, node: Tensor) -> bool:
        """Whether a backend computes `node`: what decides a placement in practice.

        A device takes no operand that is in another device's buffer already.
        """
        if place == self.cpu or node.op in VIEWS:
            return True
        for src in node.src:
            if src.place >= 0 and src.place not in (place, self.cpu):
                return False
        if self.backends[place].computes_all:
            return True
        check = COMPUTED.get(node.op)
        return check is None or check(node)


def host_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor in a host buffer."""
    return tensor.nbytes


def device_bytes(backend: Backend, tensor: Tensor) -> int:
    """Bytes of a tensor on a device: CUDA pads quantised rows, and copies quantised caches.

    ggml/src/ggml-cuda/ggml-cuda.cu:903, fattn.cu:722, fattn-common.cuh:53.
    """
    size = tensor.nbytes
    if tensor.quantized:
        if backend.pads_quantized_rows:
            size += padding_bytes(tensor)
    elif tensor.op == "FLASH_ATTN_EXT" and backend.flash_attn_f16_copies:
        k, v = tensor.src[1], tensor.src[2]
        for cache in (k,) if v.view is k.view and v.view is not None else (k, v):
            if cache.type.name != "F16":
                size = -(-size // 128) * 128 + 2 * cache.nelements
    return size


def padding_bytes(tensor: Tensor) -> int:
    """Bytes that make a quantised row whole (`MATRIX_ROW_PADDING`)."""
    rest = tensor.ne[0] % QUANTIZED_ROW if tensor.quantized else 0
    return tensor.type.row_bytes(QUANTIZED_ROW - rest) if rest else 0
