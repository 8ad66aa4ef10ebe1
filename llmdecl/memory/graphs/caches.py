"""Attention caches and recurrent states: which layers have one, of what size, and where.

One value serves both the ledger (bytes) and the graph (tensors that are there already).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml import TYPES, pad
from llmdecl.memory.ggml.ops import Graph, row_size
from llmdecl.memory.ggml.tensor import F32, I64, Tensor
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

CONTEXT_STEP = 256

LayerFilter = Callable[[int], bool]
"""Whether a block has a cache here."""


def stored(kind: TensorType, place: int, *ne: int) -> Tensor:
    """A tensor that is in a buffer already."""
    tensor = Graph().new(kind, *ne)
    tensor.place = place
    return tensor


@dataclass(slots=True)
class KvCache:
    """`llama_kv_cache`: one row per cell and layer, once for keys and once for values.

    `size` counts the cells of a stream. Without flash attention values are stored transposed, as
    wide as the widest layer of the whole model (src/llama-kv-cache.cpp:210).
    """

    h: HParams
    run: RunParameters
    site: Site
    size: int
    layers: tuple[int, ...]
    reuse: Callable[[int], int] | None = None
    """For a block without a cache, the block whose cache it reads; -1 for none."""
    k_only: bool = False
    """Keys that hold the values as well (MLA)."""
    k_width: Callable[[int], int] | None = None
    """Elements of a row of keys, where that is not `n_embd_k_gqa` (indexers)."""
    rotates: bool = True
    always_rotates: bool = False
    """Keys turn whatever their type (indexers, src/llama-kv-cache.cpp:329)."""
    _tensors: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    @property
    def streams(self) -> int:
        """One for all slots when unified, else one a slot."""
        return self.run.streams

    @property
    def transposed(self) -> bool:
        """Values are stored by column."""
        return not self.run.flash_attn

    def type_k(self) -> TensorType:
        """Type of the keys."""
        return TYPES[self.run.type_k.upper()]

    def type_v(self) -> TensorType:
        """Type of the values."""
        return TYPES[self.run.type_v.upper()]

    def width_k(self, il: int) -> int:
        """Elements of a row of keys."""
        return self.k_width(il) if self.k_width else self.h.k_gqa(il)

    def width_v(self, il: int) -> int:
        """Elements of a row of values as stored."""
        return self.h.v_gqa_max() if self.transposed else self.h.v_gqa(il)

    def place(self, il: int) -> int:
        """The buffer of a block's cache."""
        return self.site.layers[il] if self.site.placement.kv_offload else self.site.cpu

    def tensors(self) -> Iterator[tuple[int, int]]:
        """Buffer and bytes of every tensor, without padding."""
        for il in self.layers:
            place = self.place(il)
            parts = [(self.type_k(), self.width_k(il))]
            if not self.k_only:
                parts.append((self.type_v(), self.width_v(il)))
            for kind, width in parts:
                tensor = stored(kind, place, width, self.size, self.streams)
                yield place, self.site.alloc_size(place, tensor)

    def layer_bytes(self) -> Iterator[tuple[int, int]]:
        """Block and bytes of every tensor, without any padding."""
        rows = self.size * self.streams
        for il in self.layers:
            yield il, row_size(self.type_k(), self.width_k(il)) * rows
            if not self.k_only:
                yield il, row_size(self.type_v(), self.width_v(il)) * rows

    # in a graph

    def _layer(self, il: int) -> int:
        if il in self.layers or self.reuse is None:
            return il
        return self.reuse(il)

    def rows(self, part: str, il: int) -> Tensor:
        """All that is stored of a block: `k` or `v`."""
        il = self._layer(il)
        found = self._tensors.get((part, il))
        if found is None:
            kind, width = (
                (self.type_k(), self.width_k(il))
                if part == "k"
                else (self.type_v(), self.width_v(il))
            )
            found = stored(kind, self.place(il), width, self.size, self.streams)
            found.name = f"cache_{part}_l{il}"
            self._tensors[part, il] = found
        return found

    def head_sizes(self, *, values: bool) -> int:
        """The size of every head of every layer here; -1 when they differ, 0 without layers."""
        sizes = {self.h.head_v(il) if values else self.h.head_k(il) for il in self.layers}
        return sizes.pop() if len(sizes) == 1 else (-1 if sizes else 0)

    def get_k(self, g: Graph, il: int, head: int = 0, heads: int = 0) -> Tensor:
        """All keys of a block: head, heads, cells, streams."""
        k = self.rows("k", il)
        head, heads = head or self.h.head_k(il), heads or self.h.n_head_kv(il)
        width = k.ne[0]
        return g.view_4d(
            k, head, heads, self.size, self.streams,
            row_size(k.type, head), row_size(k.type, width), row_size(k.type, width * self.size),
        )  # fmt: skip

    def get_v(self, g: Graph, il: int) -> Tensor:
        """All values of a block; without flash attention transposed."""
        v = self.rows("v", il)
        head, heads, width, size = self.h.head_v(il), self.h.n_head_kv(il), v.ne[0], self.size
        if not self.transposed:
            return g.view_4d(
                v, head, heads, size, self.streams,
                row_size(v.type, head), row_size(v.type, width), row_size(v.type, width * size),
            )  # fmt: skip
        return g.view_4d(
            v, size, heads, head, self.streams,
            row_size(v.type, size * head), row_size(v.type, size), row_size(v.type, size * width),
        )  # fmt: skip

    def cpy_k(self, g: Graph, cur: Tensor, ids: Tensor, il: int) -> Tensor:
        """Keys of the batch into the cache."""
        width, n_tokens = cur.ne[0] * cur.ne[1], cur.ne[2]
        k = self.rows("k", il)
        cur = g.view_2d(cur, width, n_tokens, cur.nb[2])
        if self.streams > 1:
            k = g.reshape(k, width, self.size * self.streams)
        return g.set_rows(k, cur, ids)

    def cpy_v(self, g: Graph, cur: Tensor, ids: Tensor, il: int) -> Tensor:
        """Values of the batch into the cache."""
        width, n_tokens = cur.ne[0] * cur.ne[1], cur.ne[2]
        v = self.rows("v", il)
        if not self.transposed:
            cur = g.view_2d(cur, width, n_tokens, cur.nb[2])
            if self.streams > 1:
                v = g.reshape(v, width, self.size * self.streams)
            return g.set_rows(v, cur, ids)
        if row_size(cur.type, width) == cur.nb[2]:
            cur = g.reshape(cur, width, n_tokens)
        else:
            cur = g.cont(cur, width, n_tokens)
        if width < v.ne[0]:
            cur = g.pad(cur, v.ne[0] - width)
        column = g.reshape(v, 1, v.nelements)
        return g.set_rows(column, g.reshape(cur, 1, cur.nelements), ids)

    def k_idxs(self, g: Graph, n_tokens: int) -> Tensor:
        """Cells for the keys of a batch."""
        return g.input(I64, n_tokens, name="k_idxs")

    def v_idxs(self, g: Graph, n_tokens: int) -> Tensor:
        """Cells for the values of a batch: one for each element where they are transposed."""
        count = n_tokens * self.h.v_gqa_max() if self.transposed else n_tokens
        return g.input(I64, count, name="v_idxs")

    def k_rot(self, g: Graph) -> Tensor | None:
        """The matrix that turns quantised keys (src/llama-kv-cache.cpp:321, 1447)."""
        size = self.head_sizes(values=False)
        quantized = self.rotates and self.type_k().block_size > 1 and self.h.head_k(0) % 64 == 0
        if size <= 0 or not (quantized or self.always_rotates):
            return None
        n = 64
        while size % (2 * n) == 0:
            n *= 2
        return g.input(F32, n, n, name="k_rot")

    def v_rot(self, g: Graph) -> Tensor | None:
        """The matrix that turns quantised values."""
        size = 0 if self.k_only else self.head_sizes(values=True)
        if not self.rotates or size <= 0 or self.type_v().block_size == 1 or self.h.head_v(0) % 64:
            return None
        return g.input(F32, 64, 64, name="v_rot")


@dataclass(slots=True)
class States:
    """`llama_memory_recurrent`: one row a slot, always f32, whatever the context."""

    h: HParams
    run: RunParameters
    site: Site
    layers: tuple[int, ...]
    more: Callable[[int], int] | None = None
    """Elements of a third row that some blocks keep."""
    _tensors: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Rows: one a slot."""
        return max(1, self.run.n_seq_max)

    def place(self, il: int) -> int:
        """The buffer of a block's states."""
        return self.site.layers[il] if self.site.placement.kv_offload else self.site.cpu

    def widths(self, il: int) -> tuple[int, ...]:
        """Elements of each row: convolution, recurrence, and what else a block keeps."""
        more = self.more(il) if self.more else 0
        return (self.h.n_embd_r, self.h.n_embd_s, *((more,) if more else ()))

    def tensors(self) -> Iterator[tuple[int, int]]:
        """Buffer and bytes of every tensor, without padding."""
        return ((self.place(il), size) for il, size in self.layer_bytes())

    def layer_bytes(self) -> Iterator[tuple[int, int]]:
        """Block and bytes of every tensor, without padding."""
        for il in self.layers:
            for width in self.widths(il):
                yield il, 4 * width * self.size

    def get(self, part: int, il: int) -> Tensor:
        """Rows of a block: 0 convolution (`get_r_l`), 1 recurrence (`get_s_l`), 2 the third."""
        name = "rsp"[part]
        found = self._tensors.get((name, il))
        if found is None:
            found = stored(F32, self.place(il), self.widths(il)[part], self.size)
            found.name = f"cache_{name}_l{il}"
            self._tensors[name, il] = found
        return found


@dataclass(slots=True)
class Memory:
    """What a context keeps between batches. An architecture has some of these (`create_memory`).

    `kv` holds full-attention layers, `swa` those that slide their window, `idx` an indexer's
    keys, `rs` recurrent states; `others` what one architecture alone has.
    """

    kv: KvCache | None = None
    swa: KvCache | None = None
    idx: KvCache | None = None
    rs: States | None = None
    others: tuple[KvCache | States, ...] = ()

    def caches(self) -> tuple[KvCache, ...]:
        """Attention caches."""
        return tuple(
            c for c in (self.kv, self.swa, self.idx, *self.others) if isinstance(c, KvCache)
        )

    def states(self) -> tuple[States, ...]:
        """Recurrent states."""
        return tuple(c for c in (self.rs, *self.others) if isinstance(c, States))


def window_cells(n_swa: int, run: RunParameters) -> int:
    """Cells per stream of a window's cache (src/llama-kv-cache-iswa.cpp:73-80)."""
    if run.swa_full:
        return run.n_ctx_seq
    sequences = run.n_seq_max if run.kv_unified else 1
    return pad(min(run.n_ctx_seq, n_swa * sequences + run.n_ubatch), CONTEXT_STEP)


def attention(
    h: HParams, run: RunParameters, site: Site, only: LayerFilter | None = None
) -> Memory:
    """`llama_kv_cache`, or `llama_kv_cache_iswa` where layers slide their window."""
    chosen = [
        il for il in range(h.n_layer_all)
        if il < h.n_layer and h.has_kv(il) and (only is None or only(il))
    ]  # fmt: skip

    def cache(layers: list[int], size: int) -> KvCache:
        return KvCache(h, run, site, size, tuple(layers), _reuse(h), k_only=h.is_mla)

    if not h.swa_type:
        return Memory(kv=cache(chosen, run.n_ctx_seq))
    return Memory(
        kv=cache([il for il in chosen if not h.is_swa[il]], run.n_ctx_seq),
        swa=cache([il for il in chosen if h.is_swa[il]], window_cells(h.n_swa, run)),
    )


def _reuse(h: HParams) -> Callable[[int], int] | None:
    """gemma3n and gemma4: late blocks read the last cache of their kind."""
    first = h.n_layer_kv_from_start
    if first < 0:
        return None
    return lambda il: first - (2 if h.is_swa[il] else 1) if il >= first else -1


def recurrent(h: HParams, run: RunParameters, site: Site) -> Memory:
    """`llama_memory_recurrent`: states in every block."""
    return Memory(rs=States(h, run, site, tuple(range(h.n_layer))))


def hybrid(
    h: HParams,
    run: RunParameters,
    site: Site,
    attends: LayerFilter | None = None,
    recurs: LayerFilter | None = None,
) -> Memory:
    """`llama_memory_hybrid`: attention in some blocks, states in others: by `is_recr`."""
    attends = attends or (lambda il: not h.is_recr[il])
    recurs = recurs or (lambda il: h.is_recr[il])
    memory = attention(h, run, site, attends)
    layers = tuple(il for il in range(h.n_layer) if recurs(il))
    memory.rs = States(h, run, site, layers)
    return memory
