"""What a graph is given: weights by name, inputs by batch (`llm_graph_context`).

Method names are llama.cpp's; numbers that decide no size (scales, epsilons, frequencies) are
left out. A weight is fetched by its name in the file; one that the file lacks is `None`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml.ops import Graph
from llmdecl.memory.ggml.tensor import F16, F32, I32, Tensor
from llmdecl.memory.graphs.caches import KvCache, Memory
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters

SMALL_BATCH = 32
"""Tokens below which norms stay with their block (src/llama-context.cpp:2647)."""

WeightTable = Mapping[str, tuple[TensorType, tuple[int, ...]]]
"""Type and shape of every tensor of the file, by name."""


@dataclass(slots=True)
class Attention:
    """Inputs of attention: where the batch's keys and values go, and the masks.

    `full` and `swa` are `(cache, k_idxs, v_idxs, mask, k_rot, v_rot)`; without a cache the
    parts but the mask are `None`.
    """

    full: "AttentionInput | None" = None
    swa: "AttentionInput | None" = None

    def of(self, h: HParams, il: int) -> "AttentionInput":
        """The inputs of a block's kind."""
        found = self.swa if self.swa is not None and h.is_swa[il] else self.full
        assert found is not None
        return found


@dataclass(slots=True)
class AttentionInput:
    """One kind of attention's inputs."""

    mask: Tensor
    cache: KvCache | None = None
    k_idxs: Tensor | None = None
    v_idxs: Tensor | None = None
    k_rot: Tensor | None = None
    v_rot: Tensor | None = None


@dataclass(slots=True)
class Layer:
    """Weights of a block by attribute: `attn_q` is `blk.N.attn_q.weight`, `attn_q_b` its bias,
    `attn_q_s` its scale. Calling it fetches a name as it is written: `layer("ssm_a")`."""

    context: "Inputs"
    prefix: str
    il: int

    def __call__(self, name: str) -> Any:
        """The weight that is called so in the file."""
        return self.context.weight(self.prefix + name, self.il)

    def __getattr__(self, name: str) -> Any:
        if name.endswith("_b") and (found := self(f"{name[:-2]}.bias")) is not None:
            return found
        if name.endswith("_s") and (found := self(f"{name[:-2]}.scale")) is not None:
            return found
        return self(f"{name}.weight")


@dataclass(slots=True)
class Inputs(Graph):
    """One graph under construction.

    `n_tokens` of `n_seqs` sequences with `n_outputs` rows of results, on `site`, with `memory`
    full. `keep` lists the blocks that are built: those left out repeat what others do.
    """

    h: HParams
    run: RunParameters
    site: Site
    memory: Memory
    weights: WeightTable
    n_tokens: int
    n_seqs: int
    n_outputs: int
    keep: tuple[int, ...]
    nodes: list[Tensor] = field(default_factory=list)
    leafs: list[Tensor] = field(default_factory=list)
    t_embd: Tensor | None = None
    t_logits: Tensor | None = None
    t_embd_pooled: Tensor | None = None
    t_h_nextn: Tensor | None = None
    t_inp_embd: Tensor | None = None
    fused: list[tuple[str, Tensor, int]] = field(default_factory=list)
    """Fused operations with their blocks: llama.cpp checks where each is computed."""
    unfused: frozenset[str] = frozenset()
    """Those that this check has turned off."""
    _weights: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    _layers: dict[int, Layer] = field(default_factory=dict)

    # shorthand for what builders name again and again

    @property
    def n_embd(self) -> int:
        """Width of the model."""
        return self.h.n_embd

    @property
    def n_layer(self) -> int:
        """Blocks, without nextn blocks."""
        return self.h.n_layer

    @property
    def n_seq_tokens(self) -> int:
        """Tokens of each sequence."""
        return self.n_tokens // self.n_seqs

    @property
    def arch(self) -> str:
        """The architecture's name."""
        return self.h.arch

    # weights

    def weight(self, name: str, layer: int = -1) -> Any:
        """The weight `name`, or `None`; `layer`: the block that uses it."""
        given = self.weights.get(name)
        if given is None:
            return None
        buffer = self.site.buffer(name, given[0], given[1], layer=layer)
        key = name, buffer.place
        found = self._weights.get(key)
        if found is None:
            found = Graph.new(self, given[0], *given[1])
            found.name = name
            found.weight = True
            found.place = buffer.place
            found.streamable = buffer.streamable
            self._weights[key] = found
        return found

    def layer(self, il: int, prefix: str = "blk") -> Layer:
        """Weights of block `il`."""
        return Layer(self, f"{prefix}.{il}.", il)

    def tok_embd(self) -> Any:
        """The embedding matrix, on the CPU."""
        return self.weight("token_embd.weight")

    def output(self) -> Any:
        """The output matrix: its own, or the embedding once more, where the output is."""
        own = self.weight("output.weight")
        if own is not None:
            return own
        kind, ne = self.weights["token_embd.weight"]
        buffer = self.site.buffer("output.weight", kind, ne)
        found = Graph.new(self, kind, *ne)
        found.name = "output.weight"
        found.weight = True
        found.place = buffer.place
        found.streamable = buffer.streamable
        return found

    def rope_factors(self, il: int) -> Any:
        """Frequency factors, if the file has some (src/llama-model.cpp:2337)."""
        if (found := self.weight("rope_freqs.weight", il)) is not None:
            return found
        long = self.run.n_ctx_seq > self.h.n_ctx_orig_yarn
        return self.weight(f"rope_factors_{'long' if long else 'short'}.weight", il)

    # naming, which for two names is placing

    def cb(self, tensor: Tensor, name: str, il: int = -1) -> Tensor:
        """`cb`: norms and last results of a block stay on its device (llama-context.cpp:2640)."""
        tensor.name = name
        if (
            il >= 0
            and name in ("norm", "l_last")
            and (self.n_tokens < SMALL_BATCH or self.site.full_offload)
        ):
            place = self.site.layers[il]
            if self.site.supports(place, tensor):
                tensor.backend = place
        return tensor

    # inputs

    def build_inp_embd(self, tok_embd: Tensor | None = None) -> Tensor:
        """Token embeddings; an input for raw embeddings is there as well (:2376)."""
        h = self.h
        tokens = self.input(I32, self.n_tokens, name="inp_tokens")
        raw = self.input(F32, h.n_embd_inp, self.n_tokens, name="inp_embd")
        cur = self.get_rows(tok_embd if tok_embd is not None else self.tok_embd(), tokens)
        if h.n_embd_inp != h.n_embd:
            cur = self.pad(cur, h.n_embd_inp - h.n_embd)
        self.expand(cur)
        self.expand(raw)
        if h.n_embd_inp != h.n_embd:
            cur = self.view_2d(cur, h.n_embd, self.n_tokens, cur.nb[1])
        self.t_inp_embd = cur
        if h.f_embedding_scale:
            if not cur.contiguous:
                cur = self.cont(cur)
            cur = self.scale(cur)
        self.cb(cur, "embd")
        self.expand(cur)
        return cur

    def build_inp_pos(self) -> Tensor:
        """Positions (:2465)."""
        return self.input(I32, self.n_tokens * self.h.n_pos_per_embd, name="inp_pos")

    def build_inp_attn_scale(self) -> Tensor:
        """Temperatures of attention by position (:2479)."""
        return self.input(F32, 1, 1, self.n_tokens, name="inp_attn_scale")

    def build_inp_out_ids(self) -> Tensor:
        """Which tokens' results are wanted (:2494)."""
        return self.input(I32, self.n_outputs, name="out_ids")

    def build_inp_mean(self) -> Tensor:
        """Weights of tokens in their sequences' means (:2516)."""
        return self.input(F32, self.n_tokens, self.n_seqs, name="mean")

    def build_inp_cls(self) -> Tensor:
        """One token of each sequence (:2530)."""
        return self.input(I32, self.n_seqs, name="cls")

    def mask_type(self) -> TensorType:
        """Flash attention wants f16 masks."""
        return F16 if self.run.flash_attn else F32

    def build_kq_mask(self, cache: KvCache) -> Tensor:
        """Which cells a token may see (:29)."""
        streams = 1 if self.run.kv_unified else self.n_seqs
        return self.input(
            self.mask_type(), cache.size, self.n_tokens // streams, 1, streams, name="kq_mask"
        )

    def _cached(self, cache: KvCache, *, rotations: bool) -> AttentionInput:
        k_idxs = cache.k_idxs(self, self.n_tokens)
        v_idxs = None if cache.k_only else cache.v_idxs(self, self.n_tokens)
        inp = AttentionInput(self.build_kq_mask(cache), cache, k_idxs, v_idxs)
        if rotations:
            inp.k_rot, inp.v_rot = cache.k_rot(self), cache.v_rot(self)
        return inp

    def build_attn_inp_kv(self) -> Attention:
        """`build_attn_inp_kv` or, where layers slide their window, `build_attn_inp_kv_iswa`."""
        memory = self.memory
        assert memory.kv is not None
        inp = Attention(full=self._cached(memory.kv, rotations=True))
        if memory.swa is not None:
            inp.swa = self._cached(memory.swa, rotations=True)
        return inp

    build_attn_inp_kv_iswa = build_attn_inp_kv

    def build_attn_inp_k(self) -> Attention:
        """Keys that hold the values as well: no rotations (:2952)."""
        assert self.memory.kv is not None
        inp = Attention(full=self._cached(self.memory.kv, rotations=False))
        if self.memory.swa is not None:
            inp.swa = self._cached(self.memory.swa, rotations=False)
        return inp

    def build_attn_inp_no_cache(self) -> Attention:
        """The batch attends to itself (:2757)."""
        kind, n = self.mask_type(), self.n_tokens
        inp = Attention(full=AttentionInput(self.input(kind, n, n, name="kq_mask")))
        if self.h.swa_type:
            inp.swa = AttentionInput(self.input(kind, n, n, name="kq_mask_swa"))
        return inp
