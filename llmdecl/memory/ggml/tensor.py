"""A ggml tensor without data: type, shape, strides, and where it would live."""

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml import TYPES

F32, F16, BF16, I32, I64 = (TYPES[name] for name in ("F32", "F16", "BF16", "I32", "I64"))

Shape = tuple[int, int, int, int]
"""Elements by dimension, the fastest first (`ne`); strides in bytes have the same form (`nb`)."""

NOWHERE = -1
"""Not in a buffer yet, or not given to a backend yet."""


class Tensor:
    """One node or leaf of a graph. Everything is said by the constructor but the allocator's notes.

    `view` is the tensor at the root of a view (`view_src`, never a view itself). `place` is the
    index of the buffer that holds it before the graph is allocated (weights, caches), or
    `NOWHERE`. `backend` is what the scheduler gives it to. `streamable`: a weight in plain host
    memory, which a device may copy to itself for one operation (`op_offload`).
    """

    __slots__ = (
        "allocated", "backend", "buffer", "children", "flags", "name", "nb", "ne", "offset", "op",
        "place", "size", "src", "streamable", "type", "view", "views", "visited", "weight",
    )  # fmt: skip

    def __init__(
        self,
        op: str,
        kind: TensorType,
        ne: Shape,
        nb: Shape | None = None,
        src: "list[Tensor] | None" = None,
        view: "Tensor | None" = None,
    ) -> None:
        self.op = op
        self.type = kind
        self.ne = ne
        if nb is None:
            n0, n1, n2, _ = ne
            b1 = kind.type_size * (n0 // kind.block_size)
            b2 = b1 * n1
            nb = (kind.type_size, b1, b2, b2 * n2)
        self.nb = nb
        self.src = src if src is not None else []
        self.view = view
        self.name = ""
        self.flags = 0
        self.place = NOWHERE
        self.weight = False
        self.streamable = False
        self.visited = False
        self.backend = NOWHERE
        self.children = 0
        self.views = 0
        self.allocated = False
        self.buffer = NOWHERE
        self.offset = 0
        self.size = 0

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last element, strides included (`ggml_nbytes`)."""
        n0, n1, n2, n3 = self.ne
        if n0 <= 0 or n1 <= 0 or n2 <= 0 or n3 <= 0:
            return 0
        b0, b1, b2, b3 = self.nb
        kind = self.type
        if kind.block_size == 1:
            first = kind.type_size + (n0 - 1) * b0
        else:
            first = n0 * b0 // kind.block_size
        return first + (n1 - 1) * b1 + (n2 - 1) * b2 + (n3 - 1) * b3

    @property
    def nelements(self) -> int:
        """How many elements it has."""
        n0, n1, n2, n3 = self.ne
        return n0 * n1 * n2 * n3

    @property
    def nrows(self) -> int:
        """How many rows of `ne[0]` elements it has."""
        return self.ne[1] * self.ne[2] * self.ne[3]

    @property
    def quantized(self) -> bool:
        """Its elements come in blocks."""
        return self.type.block_size > 1

    @property
    def contiguous(self) -> bool:
        """No gaps and no transposition (`ggml_is_contiguous`)."""
        following = self.type.type_size
        if self.ne[0] != self.type.block_size and self.nb[0] != following:
            return False
        following = following * self.ne[0] // self.type.block_size
        for elements, stride in zip(self.ne[1:], self.nb[1:], strict=True):
            if elements != 1:
                if stride != following:
                    return False
                following *= elements
        return True

    @property
    def held(self) -> int:
        """The buffer that it, or what it is a view of, is in already."""
        return self.view.place if self.view is not None else self.place

    def __repr__(self) -> str:
        return f"{self.op} {self.name} {self.type.name}{self.ne}"


INPUT, OUTPUT, PRECISE = 1, 2, 4
"""Flags: filled before the graph runs; read after it, so its memory is never used again; operands
are not to be rounded (`GGML_PREC_F32`)."""
