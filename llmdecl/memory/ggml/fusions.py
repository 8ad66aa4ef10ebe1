"""What CUDA keeps allocated for the operations that it computes in one go.

`ggml_backend_cuda_graph_optimize` (ggml/src/ggml-cuda/ggml-cuda.cu:4522): tensors that a fused
operation reads may not be overwritten before its last node is computed. Only layers of experts
have such fusions.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmdecl.memory.ggml.tensor import F32, OUTPUT, Tensor

MAX_EXPERTS = 15
"""Experts of a token that one reduction sums (`MOE_WEIGHTED_REDUCTION_MAX_EXPERTS`)."""

MOST_GATED, ODD_GATED = 512, (288, 576)
"""Numbers of experts that the gate's kernel is made for: powers of two up to 512, and these."""

Uses = Counter[int]
"""How often the whole graph reads a tensor, by `id`."""

Keep = tuple[Tensor, Tensor]
"""A tensor, and the node until which it is kept."""


def uses_of(nodes: Sequence[Tensor]) -> Uses:
    """Counts before operands are replaced by copies (`ggml_node_get_use_count`)."""
    return Counter(id(src) for node in nodes for src in node.src)


def kept_for_fusions(nodes: Sequence[Tensor], uses: Uses) -> Iterator[Keep]:
    """What the fusions of one split's nodes keep, in CUDA's order."""
    index = 0
    while index < len(nodes):
        reduction = _weighted_reduction(nodes, index, uses)
        if reduction is not None:
            last = nodes[index + reduction.count - 1]
            for tensor in reduction.reads:
                yield tensor, last
            index += reduction.count - 1
        if nodes[index].op in ("UNARY", "SOFT_MAX"):
            count = _gate(nodes, index, uses)
            if count and index + count < len(nodes):
                until = nodes[index + count]
                for node in nodes[index : index + count]:
                    for tensor in (node, *node.src):
                        yield tensor, until
                index += count - 1
        index += 1


def _contained(
    nodes: Sequence[Tensor], start: int, count: int, outputs: Sequence[int], uses: Uses
) -> bool:
    """Nothing but the outputs is read elsewhere (`ggml_can_fuse_subgraph`)."""
    group = nodes[start : start + count]
    if len(group) < count:
        return False
    members = {id(node) for node in group}
    inside = uses_of(group)
    for offset, node in enumerate(group):
        if offset in outputs:
            continue
        if node.flags & OUTPUT or inside[id(node)] != uses[id(node)]:
            return False
        root = node.view
        if root is not None and id(root) not in members and not root.weight:
            return False
    return True


# the weighted sum of experts


@dataclass(frozen=True, slots=True)
class Reduction:
    """`count` nodes that weight experts and sum them, and the tensors that they read."""

    count: int
    reads: tuple[Tensor, ...]


def _factors(mul: Tensor) -> tuple[Tensor, Tensor] | None:
    """Operands of a product: one as large as it, one with one element a row."""
    if mul.op != "MUL" or mul.type is not F32 or not mul.contiguous or len(mul.src) != 2:
        return None
    for full, factor in (mul.src, mul.src[::-1]):
        if (
            full.ne == mul.ne
            and factor.ne == (1, *mul.ne[1:])
            and full.type is F32
            and factor.type is F32
            and full.contiguous
            and factor.contiguous
        ):
            return full, factor
    return None


def _weighted_reduction(nodes: Sequence[Tensor], index: int, uses: Uses) -> Reduction | None:
    """`ggml_cuda_match_moe_weighted_reduction` (:3044)."""
    weighted = nodes[index]
    parts = _factors(weighted)
    if weighted.op != "MUL" or weighted.type is not F32 or not weighted.contiguous:
        return None
    products, reads = 1, parts
    if index + 1 < len(nodes) and parts is not None:
        again = _factors(nodes[index + 1])
        if again is not None and again[0] is weighted:
            weighted, products, reads = nodes[index + 1], 2, (*parts, again[1])  # type: ignore[assignment]
    if reads is None:
        return None
    used, count = weighted.ne[1], 2 * weighted.ne[1] + products - 1
    if not 2 <= used <= MAX_EXPERTS or index + count > len(nodes):
        return None
    if not _sums(nodes[index + products : index + count], weighted, used):
        return None
    if not _contained(nodes, index, count, (count - 1,), uses):
        return None
    return Reduction(count, tuple(reads))


def _sums(nodes: Sequence[Tensor], weighted: Tensor, used: int) -> bool:
    """Views of each expert, added from the first on."""
    rows = weighted.ne[2] * weighted.ne[3]
    views: list[Tensor] = []
    total, added = None, 0
    for node in nodes:
        if node.op == "VIEW":
            if node.src[0] is not weighted or node.ne != (weighted.ne[0], rows, 1, 1):
                return False
            views.append(node)
        elif node.op == "ADD" and added + 1 < len(views):
            left = views[0] if total is None else total
            if node.src[0] is not left or node.src[1] is not views[added + 1]:
                return False
            total, added = node, added + 1
        else:
            return False
    return len(views) == used and added == used - 1


# the gate


def _gate(nodes: Sequence[Tensor], start: int, uses: Uses) -> int:
    """How many nodes choose experts and their weights in one go, 0: they do not.

    `ggml_cuda_topk_moe_fusion` (:2813), but for a softmax after the choice, for which nothing is
    kept.
    """
    at, index = start, start
    activation = nodes[start]
    if activation.op == "UNARY" and _follows(nodes, index + 1, "SQRT", activation):
        index += 1
    probs = nodes[index]
    if not _follows(nodes, index + 1, "RESHAPE", probs):
        return 0
    reshaped, index = nodes[index + 1], index + 2
    selection = probs
    if _follows(nodes, index, "ADD", probs):
        selection, index = nodes[index], index + 1
    if not _follows(nodes, index, "ARGSORT", selection):
        return 0
    order, ids_at = nodes[index], index + 1
    if not _follows(nodes, ids_at, "VIEW", order) or not _follows(
        nodes, ids_at + 1, "GET_ROWS", reshaped
    ):
        return 0
    ids = nodes[ids_at]
    if nodes[ids_at + 1].src[1] is not ids:
        return 0
    last = _normed(nodes, ids_at + 1)
    if _follows(nodes, last + 1, "SCALE", nodes[last]):
        last += 1
    count = last + 1 - at
    outputs = ids_at - at, last - at
    experts = order.ne[0]
    known = experts in ODD_GATED or (experts <= MOST_GATED and experts & (experts - 1) == 0)
    logits = activation.src[0]
    plain = activation.op == "UNARY" or len(activation.src) == 1
    if not (known and plain and logits.contiguous and nodes[last].contiguous):
        return 0
    return count if _contained(nodes, at, count, outputs, uses) else 0


def _follows(nodes: Sequence[Tensor], index: int, op: str, source: Tensor) -> bool:
    return index < len(nodes) and nodes[index].op == op and nodes[index].src[0] is source


def _normed(nodes: Sequence[Tensor], weights: int) -> int:
    """The last node of weights that are divided by their sum, or of those that are not."""
    index = weights
    for op in ("RESHAPE", "SUM_ROWS", "CLAMP"):
        if not _follows(nodes, index + 1, op, nodes[index]):
            return weights
        index += 1
    if (
        not _follows(nodes, index + 1, "DIV", nodes[weights + 1])
        or nodes[index + 1].src[1] is not nodes[index]
        or not _follows(nodes, index + 2, "RESHAPE", nodes[index + 1])
    ):
        return weights
    return index + 2
