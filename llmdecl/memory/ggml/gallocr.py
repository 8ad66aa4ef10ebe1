"""ggml's graph allocator, to the byte: which bytes of a work buffer each tensor would use.

Follows ggml/src/ggml-alloc.c: best fit among freed blocks, no compaction, results in the place
of an operand where possible. One chunk a buffer: no backend here limits a buffer's size.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from llmdecl.memory.ggml.ops import INPLACE
from llmdecl.memory.ggml.tensor import INPUT, OUTPUT, Tensor

ENDLESS = 1 << 62

AllocSize = Callable[[Tensor], int]
"""Bytes that a tensor takes in a buffer (`ggml_backend_buft_get_alloc_size`), without padding."""


class Pool:
    """One buffer's free blocks by offset; the last one has no end. `peak` is the buffer's size."""

    __slots__ = ("alignment", "hollow", "offsets", "peak", "size_of", "sizes")

    def __init__(self, alignment: int, size_of: AllocSize) -> None:
        self.alignment = alignment
        self.size_of = size_of
        self.offsets = [0]
        self.sizes = [ENDLESS]
        self.peak = 0
        self.hollow = False

    def padded(self, tensor: Tensor) -> int:
        """Bytes that `tensor` takes here."""
        alignment = self.alignment
        return -(-self.size_of(tensor) // alignment) * alignment

    def take(self, size: int) -> int:
        """The offset of `size` bytes: the smallest block that fits, the last one if none does."""
        sizes = self.sizes
        last = len(sizes) - 1
        best, best_size = last, ENDLESS
        for index in range(last):
            if size <= sizes[index] <= best_size:
                best, best_size = index, sizes[index]
        offset = self.offsets[best]
        end = offset + size
        if sizes[best] == size:
            del sizes[best], self.offsets[best]
        else:
            self.offsets[best] = end
            sizes[best] -= size
        self.peak = max(self.peak, end)
        return offset

    def give(self, offset: int, size: int) -> None:
        """Back among the free blocks, joined with its neighbours."""
        offsets, sizes = self.offsets, self.sizes
        if not size or self.hollow:
            self._give_empty(offset, size)
            return
        index = bisect_left(offsets, offset)
        joins_next = index < len(offsets) and offset + size == offsets[index]
        if index and offsets[index - 1] + sizes[index - 1] == offset:
            sizes[index - 1] += size
            if joins_next:
                sizes[index - 1] += sizes[index]
                del sizes[index], offsets[index]
        elif joins_next:
            offsets[index] = offset
            sizes[index] += size
        else:
            offsets.insert(index, offset)
            sizes.insert(index, size)

    def _give_empty(self, offset: int, size: int) -> None:
        """The same where a free block may be empty: the first that touches is joined, as it is.

        `ggml_dyn_tallocr_free_bytes`; a tensor without elements leaves an empty block, and blocks
        behind it are no longer in order.
        """
        offsets, sizes = self.offsets, self.sizes
        for index in range(len(offsets)):
            if offsets[index] + sizes[index] == offset:
                sizes[index] += size
                self._join(index)
                return
            if offset + size == offsets[index]:
                offsets[index] = offset
                sizes[index] += size
                if index:
                    self._join(index - 1)
                return
        self.hollow = self.hollow or not size
        index = next((i for i, begin in enumerate(offsets) if begin >= offset), len(offsets))
        offsets.insert(index, offset)
        sizes.insert(index, size)

    def _join(self, index: int) -> None:
        """One block of two where the second begins at the end of the first."""
        offsets, sizes = self.offsets, self.sizes
        if index + 1 < len(offsets) and offsets[index] + sizes[index] == offsets[index + 1]:
            sizes[index] += sizes[index + 1]
            del sizes[index + 1], offsets[index + 1]


class GraphAllocator:
    """Reserves one graph in `pools`, by buffer number."""

    def __init__(self, pools: Sequence[Pool]) -> None:
        self.pools = pools

    def reserve(
        self,
        nodes: Sequence[tuple[Tensor, int]],
        leafs: Sequence[tuple[Tensor, int]],
    ) -> None:
        """Nodes and leafs with their buffers, in the order of `ggml_gallocr_alloc_graph_impl`."""
        allocate = self._allocate
        for leaf, buffer in leafs:
            allocate(leaf, buffer)
        for node, buffer in nodes:
            if node.view is not None and node.op != "NONE":
                node.view.views += 1
            if node.flags & INPUT:
                allocate(node, buffer)
            for src in node.src:
                src.children += 1
                if src.flags & INPUT:
                    allocate(src, buffer)
        for node, buffer in nodes:
            for src in node.src:
                if not src.allocated:
                    allocate(src, buffer)
            allocate(node, buffer)
            for src in node.src:
                src.children -= 1
                if src.children or src.views:
                    continue
                root = src.view
                if root is not None:
                    root.views -= 1
                    if not root.views and not root.children and root.allocated:
                        self._free(root)
                elif src.allocated:
                    self._free(src)

    def _allocate(self, node: Tensor, buffer: int) -> None:
        if node.allocated or node.view is not None or node.place >= 0:
            return
        node.allocated = True
        pool = self.pools[buffer]
        size = pool.padded(node)
        if node.op in INPLACE and self._reuse(node, size):
            return
        node.buffer = buffer
        node.size = size
        node.offset = pool.take(size)

    def _reuse(self, node: Tensor, size: int) -> bool:
        """Takes the place of an operand that nobody else needs and that is laid out the same.

        Never of a view: ggml asks whether the operand itself was allocated, and views are not.
        """
        for parent in node.src:
            if (
                parent.allocated
                and parent.children == 1
                and parent.views == 0
                and not parent.flags & OUTPUT
                and parent.ne == node.ne
                and parent.type is node.type
                and parent.nb == node.nb
            ):
                node.buffer, node.offset, node.size = parent.buffer, parent.offset, size
                parent.allocated = False
                if parent.size > size:
                    self.pools[parent.buffer].give(parent.offset + size, parent.size - size)
                return True
        return False

    def _free(self, tensor: Tensor) -> None:
        if tensor.flags & OUTPUT:
            return
        self.pools[tensor.buffer].give(tensor.offset, tensor.size)
        tensor.allocated = False
