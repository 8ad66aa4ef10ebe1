"""ggml's scheduler: which backend computes which node, what is copied between them, in what order.

Follows `ggml_backend_sched_split_graph` (ggml/src/ggml-backend.cpp). Backends go by number: the
devices in llama.cpp's order, the CPU last. Buffers have the numbers of their backends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llmdecl.memory.ggml.fusions import Uses, kept_for_fusions, uses_of
from llmdecl.memory.ggml.gallocr import GraphAllocator, Pool
from llmdecl.memory.ggml.ops import VIEWS, Graph
from llmdecl.memory.ggml.tensor import INPUT, NOWHERE, OUTPUT, Tensor

MAX_COPIES = 4
"""Copies of every input under pipeline parallelism (`GGML_SCHED_MAX_COPIES`)."""

OFFLOAD_BATCH = 32
"""Tokens from which on a device multiplies by weights of the host."""

MAX_OPERANDS = 10
"""Operands that one node may have (`GGML_MAX_SRC`)."""

SKIPPED = frozenset({"ROPE", "FLASH_ATTN_EXT"})
"""Operations that do not follow a weight among their operands: it is too small to decide."""

Supports = Callable[[int, Tensor], bool]
"""Whether a backend can compute a node."""


@dataclass(slots=True)
class Split:
    """Nodes that one backend computes in one go, and what must be copied to it before."""

    backend: int
    start: int
    end: int = 0
    inputs: list[Tensor] = field(default_factory=list)


def batch_size(node: Tensor) -> int:
    """Tokens of an operation, as CUDA counts them (ggml/src/ggml-cuda/ggml-cuda.cu:5636)."""
    if node.op == "GET_ROWS":
        return 0
    if node.op == "MUL_MAT":
        return node.ne[1]
    if node.op in ("MUL_MAT_ID", "ROPE"):
        return node.ne[2]
    return node.nrows


@dataclass(slots=True)
class Scheduler:
    """`streams`: backends that compute with host weights in large batches (`offload_op`).

    `copies`: 4 under pipeline parallelism, else 1.
    """

    n_backends: int
    supports: Supports
    streams: Sequence[bool]
    copies: int = 1
    fuses: Sequence[bool] = ()
    """Backends that keep what their fused operations read."""
    splits: list[Split] = field(default_factory=list)
    _copies_of: dict[tuple[int, int], list[Tensor]] = field(default_factory=dict)
    _uses: Uses = field(default_factory=Uses)

    def split(self, graph: Graph) -> None:
        """Gives every node a backend and replaces operands that live elsewhere by copies."""
        if any(self.fuses):
            self._uses = uses_of(graph.nodes)
        if self.n_backends == 1:
            for tensor in (*graph.leafs, *graph.nodes):
                tensor.backend = 0
            self.splits = [Split(0, 0, len(graph.nodes))]
            return
        self._assign(graph)
        self._expand(graph)
        self._unassigned(graph)
        self._sources(graph)
        self._cut(graph)

    # pass 1

    def _of_buffer(self, tensor: Tensor, op: Tensor) -> int:
        held = tensor.held
        if held < 0:
            return NOWHERE
        return held if self.supports(held, op) else NOWHERE

    def _initial(self, node: Tensor) -> int:
        held = self._of_buffer(node, node)
        if held != NOWHERE:
            return held
        cpu = self.n_backends - 1
        if node.flags & INPUT:
            return cpu
        if node.op in SKIPPED:
            return NOWHERE
        for src in node.src:
            if src.weight:
                at = self._of_buffer(src, node)
                if at == cpu and src.streamable and batch_size(node) >= OFFLOAD_BATCH:
                    for backend in range(cpu):
                        if self.streams[backend] and self.supports(backend, node):
                            return backend
                return at
        return NOWHERE

    def _assign(self, graph: Graph) -> None:
        for tensor in graph.leafs:
            if tensor.backend == NOWHERE:
                tensor.backend = self._initial(tensor)
        for tensor in graph.nodes:
            if tensor.backend == NOWHERE:
                tensor.backend = self._initial(tensor)

    # passes 2 and 3

    def _expand(self, graph: Graph) -> None:
        nodes = [node for node in graph.nodes if node.op not in VIEWS]
        cpu = self.n_backends - 1
        for ignored in (cpu, NOWHERE):
            for order in (nodes, nodes[::-1]):
                current = NOWHERE
                for node in order:
                    if node.backend != NOWHERE:
                        current = NOWHERE if node.backend == ignored else node.backend
                    elif current != NOWHERE and self.supports(current, node):
                        node.backend = current

    def _reachable(self, tensor: Tensor, backend: int) -> bool:
        """Whether `backend` reads the buffer that `tensor` is or will be in."""
        held = tensor.held
        if held < 0:
            held = tensor.backend
            if held == NOWHERE and tensor.view is not None:
                held = tensor.view.backend
        return held == backend

    def _unassigned(self, graph: Graph) -> None:
        for node in graph.nodes:
            if node.backend != NOWHERE or node.op in VIEWS:
                continue
            best = -1
            for backend in range(self.n_backends):
                if self.supports(backend, node):
                    count = sum(self._reachable(src, backend) for src in node.src)
                    if count > best:
                        best, node.backend = count, backend

    # pass 4

    def _sources(self, graph: Graph) -> None:
        for node in graph.nodes:
            if node.backend == NOWHERE and node.view is not None:
                node.backend = node.view.backend
            for src in node.src:
                if src.backend == NOWHERE:
                    src.backend = node.backend if src.view is None else src.view.backend
            if node.backend == NOWHERE:
                node.backend = next(b for b in range(self.n_backends) if self.supports(b, node))

    # pass 5

    def _cut(self, graph: Graph) -> None:
        nodes = graph.nodes
        first = next((node.backend for node in nodes if node.op not in VIEWS), self.n_backends - 1)
        split = Split(first, 0)
        self.splits = [split]
        self._copies_of = {}
        for index, node in enumerate(nodes):
            if node.op in VIEWS:
                continue
            if node.backend != split.backend or (split.inputs and self._fresh(node, split)):
                split.end = index
                split = Split(node.backend, index)
                self.splits.append(split)
            backend = split.backend
            for position, src in enumerate(node.src):
                if src.backend == backend or self._reachable(src, backend):
                    continue
                key = id(src), backend
                copies = self._copies_of.get(key)
                if copies is None:
                    copies = [_copy(src, apart=self.copies > 1) for _ in range(self.copies)]
                    for copy in copies:
                        copy.backend = backend
                    self._copies_of[key] = copies
                    split.inputs.append(src)
                node.src[position] = copies[0]
        split.end = len(nodes)

    def _fresh(self, node: Tensor, split: Split) -> bool:
        """A weight comes from elsewhere: a new split lets the one before it be overwritten."""
        return any(
            src.weight and src.backend != split.backend and not self._reachable(src, split.backend)
            for src in node.src
        )

    # allocation

    def reserve(self, graph: Graph, pools: Sequence[Pool], *, fused: bool = False) -> None:
        """Reserves the split graph in `pools`, one a backend (`ggml_backend_sched_reserve`).

        `fused`: with what the backends in `fuses` keep. A graph may be reserved again.
        """
        self._forget(graph)
        nodes: list[tuple[Tensor, int]] = []
        for split in self.splits:
            for source in split.inputs:
                copy = self._copies_of[id(source), split.backend][0]
                nodes.append((_kept(source), source.backend))
                nodes.append((copy, split.backend))
            part = graph.nodes[split.start : split.end]
            if fused and split.backend < len(self.fuses) and self.fuses[split.backend]:
                nodes.extend(self._with_kept(part, split.backend))
            else:
                nodes.extend((node, node.backend) for node in part)
        leafs: list[tuple[Tensor, int]] = []
        if self.copies > 1:
            leafs.extend(self._input_copies(graph))
        leafs.extend((leaf, leaf.backend) for leaf in graph.leafs)
        GraphAllocator(pools).reserve(nodes, leafs)

    def _forget(self, graph: Graph) -> None:
        copies = (copy for copies in self._copies_of.values() for copy in copies)
        for tensor in (*graph.leafs, *graph.nodes, *copies):
            tensor.views = tensor.children = 0
            tensor.allocated = False

    def _with_kept(self, part: Sequence[Tensor], backend: int) -> Iterator[tuple[Tensor, int]]:
        """Nodes, each with views behind it of what was kept until it."""
        kept: dict[int, dict[int, Tensor]] = {}
        for tensor, until in kept_for_fusions(part, self._uses):
            kept.setdefault(id(until), {})[id(tensor)] = tensor
        for node in part:
            yield node, node.backend
            until_here = [*kept.get(id(node), {}).values()]
            for start in range(0, len(until_here), MAX_OPERANDS):
                first, *more = until_here[start : start + MAX_OPERANDS]
                view = _kept(first)
                view.src.extend(more)
                yield view, backend

    def _input_copies(self, graph: Graph) -> list[tuple[Tensor, int]]:
        """All copies of graph inputs and of split inputs, allocated first and never reused."""
        leafs: list[tuple[Tensor, int]] = []
        for leaf in graph.leafs:
            if leaf.flags & INPUT:
                leaf.flags |= OUTPUT
                leafs.append((leaf, leaf.backend))
                leafs.extend(
                    (_copy(leaf, apart=True), leaf.backend) for _ in range(self.copies - 1)
                )
        for split in self.splits:
            for source in split.inputs:
                copies = self._copies_of[id(source), split.backend]
                leafs.extend((copy, split.backend) for copy in copies)
        return leafs


def _copy(source: Tensor, *, apart: bool) -> Tensor:
    """A tensor laid out like `source`; `apart`: never overwritten while the graph runs."""
    copy = Tensor("NONE", source.type, source.ne, source.nb)
    copy.name = source.name
    if apart:
        copy.flags = INPUT | OUTPUT
    return copy


def _kept(source: Tensor) -> Tensor:
    """A view that keeps `source` until it was copied."""
    root = source.view if source.view is not None else source
    return Tensor("NONE", source.type, source.ne, source.nb, [source], root)
