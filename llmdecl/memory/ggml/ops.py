"""ggml's operations on tensors without data: what each results in, and whether in place.

Names and shapes are ggml.c's, without the prefix; arguments that do not decide a shape are left
out. A graph holds its nodes in the order in which ggml would compute them.
"""

from collections.abc import Sequence

from llmdecl.facts.ggml_types import TensorType
from llmdecl.memory.ggml.tensor import F16, F32, I32, INPUT, Shape, Tensor

VIEWS = frozenset({"NONE", "RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE"})
"""Operations that compute nothing (`ggml_is_view_op`)."""

INPLACE = frozenset(
    {"FILL", "SCALE", "DIAG_MASK_INF", "ADD", "ADD_ID", "ADD1", "SUB", "MUL", "DIV", "SQR", "SQRT",
     "LOG", "UNARY", "ROPE", "RMS_NORM", "CLAMP", "SOFT_MAX"}
)  # fmt: skip
"""Operations whose result may take the place of an operand (`ggml_op_can_inplace`)."""


def shape_of(*ne: int) -> Shape:
    """One to four dimensions as four."""
    n0, n1, n2, n3 = (*ne, 1, 1, 1)[:4]
    return n0, n1, n2, n3


def row_size(kind: TensorType, elements: int) -> int:
    """Bytes of a row (`ggml_row_size`)."""
    return kind.type_size * elements // kind.block_size


class Graph:
    """Nodes and leafs in order, and the operations that make them."""

    def __init__(self) -> None:
        self.nodes: list[Tensor] = []
        self.leafs: list[Tensor] = []

    def expand(self, tensor: Tensor | None) -> None:
        """Everything that `tensor` needs and is not here yet (`ggml_build_forward_expand`)."""
        if tensor is None or tensor.visited:
            return
        stack = [(tensor, 0)]
        tensor.visited = True
        while stack:
            node, index = stack.pop()
            src = node.src
            for following in range(index, len(src)):
                parent = src[following]
                if not parent.visited:
                    parent.visited = True
                    stack.append((node, following + 1))
                    stack.append((parent, 0))
                    break
            else:
                (self.leafs if node.op == "NONE" else self.nodes).append(node)

    # leafs

    def new(self, kind: TensorType, *ne: int) -> Tensor:
        """A tensor that some operation fills."""
        return Tensor("NONE", kind, shape_of(*ne))

    def input(self, kind: TensorType, *ne: int, name: str = "") -> Tensor:
        """A tensor that is filled before the graph runs."""
        tensor = Tensor("NONE", kind, shape_of(*ne))
        tensor.flags = INPUT
        tensor.name = name
        return tensor

    # one operand's shape

    def _like(self, op: str, a: Tensor, *rest: Tensor | None) -> Tensor:
        return Tensor(op, a.type, a.ne, None, [a, *(t for t in rest if t is not None)])

    def _viewed(self, op: str, a: Tensor, ne: Shape, nb: Shape | None) -> Tensor:
        return Tensor(op, a.type, ne, nb, [a], a.view if a.view is not None else a)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Sum; `b` is repeated as needed."""
        return self._like("ADD", a, b)

    def add_inplace(self, a: Tensor, b: Tensor) -> Tensor:
        """Sum into `a`."""
        return Tensor("ADD", a.type, a.ne, a.nb, [a, b], a.view or a)

    def add_id(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        """Sum with the rows that `ids` name."""
        return self._like("ADD_ID", a, b, ids)

    def sub(self, a: Tensor, b: Tensor) -> Tensor:
        """Difference."""
        return self._like("SUB", a, b)

    def mul(self, a: Tensor, b: Tensor) -> Tensor:
        """Product by elements."""
        return self._like("MUL", a, b)

    def div(self, a: Tensor, b: Tensor) -> Tensor:
        """Quotient by elements."""
        return self._like("DIV", a, b)

    def scale(self, a: Tensor) -> Tensor:
        """Times a number."""
        return self._like("SCALE", a)

    scale_bias = scale

    def scale_inplace(self, a: Tensor) -> Tensor:
        """Times a number, into `a`."""
        return Tensor("SCALE", a.type, a.ne, a.nb, [a], a.view or a)

    def sqr(self, a: Tensor) -> Tensor:
        """Square."""
        return self._like("SQR", a)

    def sqrt(self, a: Tensor) -> Tensor:
        """Root."""
        return self._like("SQRT", a)

    def log(self, a: Tensor) -> Tensor:
        """Logarithm."""
        return self._like("LOG", a)

    def clamp(self, a: Tensor) -> Tensor:
        """Between two numbers."""
        return self._like("CLAMP", a)

    def fill(self, a: Tensor) -> Tensor:
        """A tensor of the same shape that holds one number."""
        return self._like("FILL", a)

    def unary(self, a: Tensor) -> Tensor:
        """A function of each element."""
        return self._like("UNARY", a)

    silu = gelu = gelu_erf = gelu_quick = relu = sigmoid = tanh = exp = neg = softplus = unary
    abs = sgn = round = xielu = expm1 = step = elu = hardsigmoid = unary

    def norm(self, a: Tensor) -> Tensor:
        """Layer norm without weights."""
        return self._like("NORM", a)

    def rms_norm(self, a: Tensor) -> Tensor:
        """RMS norm without weights."""
        return self._like("RMS_NORM", a)

    def l2_norm(self, a: Tensor) -> Tensor:
        """L2 norm."""
        return self._like("L2_NORM", a)

    def group_norm(self, a: Tensor) -> Tensor:
        """Group norm."""
        return self._like("GROUP_NORM", a)

    def rope(self, a: Tensor, positions: Tensor, factors: Tensor | None = None) -> Tensor:
        """Rotary positions: `rope`, `rope_ext` and `rope_multi`."""
        return self._like("ROPE", a, positions, factors)

    rope_ext = rope_multi = rope_ext_back = rope

    def soft_max(self, a: Tensor, mask: Tensor | None = None) -> Tensor:
        """Softmax of rows; `sinks` are added to its operands by `soft_max_add_sinks`."""
        return self._like("SOFT_MAX", a, mask)

    soft_max_ext = soft_max

    def cont(self, a: Tensor, *ne: int) -> Tensor:
        """A contiguous copy, of another shape if one is given."""
        return Tensor("CONT", a.type, shape_of(*ne) if ne else a.ne, None, [a])

    def cast(self, a: Tensor, kind: TensorType) -> Tensor:
        """A copy of another type."""
        return Tensor("CPY", kind, a.ne, None, [a])

    def cpy(self, a: Tensor, b: Tensor) -> Tensor:
        """`a` into `b`."""
        return Tensor("CPY", b.type, b.ne, b.nb, [a, b], b.view or b)

    # views

    def reshape(self, a: Tensor, *ne: int) -> Tensor:
        """The same elements in another shape."""
        return self._viewed("RESHAPE", a, shape_of(*ne), None)

    reshape_1d = reshape_2d = reshape_3d = reshape_4d = reshape

    def view_1d(self, a: Tensor, n0: int) -> Tensor:
        """A part of it; offsets decide no size."""
        return self._viewed("VIEW", a, (n0, 1, 1, 1), None)

    def view_2d(self, a: Tensor, n0: int, n1: int, nb1: int) -> Tensor:
        """A part of it, `nb1` bytes from row to row."""
        nb = a.type.type_size, nb1, nb1 * n1, nb1 * n1
        return self._viewed("VIEW", a, (n0, n1, 1, 1), nb)

    def view_3d(self, a: Tensor, n0: int, n1: int, n2: int, nb1: int, nb2: int) -> Tensor:
        """A part of it."""
        return self._viewed("VIEW", a, (n0, n1, n2, 1), (a.type.type_size, nb1, nb2, nb2 * n2))

    def view_4d(
        self, a: Tensor, n0: int, n1: int, n2: int, n3: int, nb1: int, nb2: int, nb3: int
    ) -> Tensor:
        """A part of it."""
        return self._viewed("VIEW", a, (n0, n1, n2, n3), (a.type.type_size, nb1, nb2, nb3))

    def permute(self, a: Tensor, *axes: int) -> Tensor:
        """Dimension `i` goes to `axes[i]`."""
        ne, nb = [0] * 4, [0] * 4
        for source, target in enumerate(axes):
            ne[target], nb[target] = a.ne[source], a.nb[source]
        return self._viewed(
            "PERMUTE", a, (ne[0], ne[1], ne[2], ne[3]), (nb[0], nb[1], nb[2], nb[3])
        )

    def transpose(self, a: Tensor) -> Tensor:
        """The first two dimensions change places."""
        n0, n1, n2, n3 = a.ne
        b0, b1, b2, b3 = a.nb
        return self._viewed("TRANSPOSE", a, (n1, n0, n2, n3), (b1, b0, b2, b3))

    # other shapes

    def mul_mat(self, a: Tensor, b: Tensor) -> Tensor:
        """Matrix product: rows of `a` by rows of `b`."""
        return Tensor("MUL_MAT", F32, (a.ne[1], b.ne[1], b.ne[2], b.ne[3]), None, [a, b])

    def mul_mat_id(self, stack: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        """Matrix product with those matrices of a stack that `ids` name."""
        ne = stack.ne[1], ids.ne[0], b.ne[2], 1
        return Tensor("MUL_MAT_ID", F32, ne, None, [stack, b, ids])

    def get_rows(self, a: Tensor, ids: Tensor) -> Tensor:
        """The rows that `ids` name; floats unless `a` holds integers."""
        kind = I32 if a.type is I32 else F32
        return Tensor("GET_ROWS", kind, (a.ne[0], ids.ne[0], ids.ne[1], ids.ne[2]), None, [a, ids])

    def set_rows(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        """Rows of `b` into `a`."""
        return Tensor("SET_ROWS", a.type, a.ne, a.nb, [b, ids, a], a.view or a)

    def concat(self, a: Tensor, b: Tensor, dimension: int) -> Tensor:
        """One after the other."""
        ne = list(a.ne)
        ne[dimension] += b.ne[dimension]
        return Tensor("CONCAT", a.type, (ne[0], ne[1], ne[2], ne[3]), None, [a, b])

    def repeat_4d(self, a: Tensor, *ne: int) -> Tensor:
        """As large as `ne`."""
        return Tensor("REPEAT", a.type, shape_of(*ne), None, [a])

    def pad(self, a: Tensor, *more: int) -> Tensor:
        """Zeros after the elements of each dimension."""
        ne = [n + p for n, p in zip(a.ne, (*more, 0, 0, 0, 0)[:4], strict=True)]
        return Tensor("PAD", a.type, (ne[0], ne[1], ne[2], ne[3]), None, [a])

    def sum_rows(self, a: Tensor) -> Tensor:
        """One number a row."""
        return Tensor("SUM_ROWS", a.type, (1, a.ne[1], a.ne[2], a.ne[3]), None, [a])

    def mean(self, a: Tensor) -> Tensor:
        """One float a row."""
        return Tensor("MEAN", F32, (1, a.ne[1], a.ne[2], a.ne[3]), None, [a])

    def argsort(self, a: Tensor) -> Tensor:
        """Indexes in order."""
        return Tensor("ARGSORT", I32, a.ne, None, [a])

    def argsort_top_k(self, a: Tensor, k: int) -> Tensor:
        """The first `k` indexes, a view of all."""
        order = self.argsort(a)
        return self.view_4d(order, k, *order.ne[1:], *order.nb[1:])

    def top_k(self, a: Tensor, k: int) -> Tensor:
        """The `k` largest elements' indexes, in any order."""
        return Tensor("TOP_K", I32, (k, a.ne[1], a.ne[2], a.ne[3]), None, [a])

    def arange(self, steps: int) -> Tensor:
        """Floats in a row."""
        return Tensor("ARANGE", F32, (steps, 1, 1, 1), None, [])

    def glu(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        """A gated activation: of two halves of `a`, or of `a` and `b`."""
        if b is not None:
            return Tensor("GLU", a.type, a.ne, None, [a, b])
        return Tensor("GLU", a.type, (a.ne[0] // 2, *a.ne[1:]), None, [a])

    swiglu = geglu = reglu = swiglu_split = geglu_split = reglu_split = glu
    swiglu_oai = swiglu_clamp = glu

    def flash_attn_ext(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, sinks: Tensor | None = None
    ) -> Tensor:
        """Attention in one operation."""
        src = [t for t in (q, k, v, mask, sinks) if t is not None]
        ne = v.ne[0], q.ne[2], q.ne[1], q.ne[3]
        return Tensor("FLASH_ATTN_EXT", F32, ne, None, src)

    def ssm_conv(self, sx: Tensor, c: Tensor) -> Tensor:
        """A convolution over tokens."""
        ne = c.ne[1], sx.ne[0] - c.ne[0] + 1, sx.ne[2], 1
        return Tensor("SSM_CONV", F32, ne, None, [sx, c])

    def ssm_scan(
        self, s: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, ids: Tensor,
        snapshots: int = 1,
    ) -> Tensor:  # fmt: skip
        """Outputs of a selective scan, and its last states behind them."""
        states = snapshots * s.ne[0] * s.ne[1] * s.ne[2] * ids.ne[0]
        ne = x.nelements + states, 1, 1, 1
        return Tensor("SSM_SCAN", F32, ne, None, [s, x, dt, a, b, c, ids])

    def linear_attention(self, op: str, k: Tensor, state: Tensor, *rest: Tensor) -> Tensor:
        """`rwkv_wkv6`, `rwkv_wkv7`, `gated_linear_attn`: outputs, and the states behind them."""
        s, h, n_tokens, _ = k.ne
        ne = s * h, n_tokens + s * state.ne[1], 1, 1
        return Tensor(op, F32, ne, None, [k, *rest, state])

    def gated_delta_net(
        self, q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, state: Tensor,
        snapshots: int = 1,
    ) -> Tensor:  # fmt: skip
        """Outputs of the delta rule, and the states behind them."""
        s_v, heads, n_tokens, n_seqs = v.ne
        ne = s_v * heads, n_tokens * n_seqs + s_v * n_seqs * snapshots, 1, 1
        return Tensor("GATED_DELTA_NET", F32, ne, None, [q, k, v, g, beta, state])

    def lightning_indexer(self, q: Tensor, k: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
        """Scores of every cell for every token."""
        ne = k.ne[2], q.ne[2], 1, q.ne[3]
        return Tensor("LIGHTNING_INDEXER", F32, ne, None, [q, k, weights, mask])

    def im2col(self, a: Tensor, b: Tensor, padding: int, kind: TensorType = F16) -> Tensor:
        """Patches of a one-dimensional convolution with stride 1."""
        width = b.ne[0] + 2 * padding - a.ne[0] + 1
        ne = a.ne[1] * a.ne[0], width, b.ne[2], 1
        return Tensor("IM2COL", kind, ne, None, [a, b])

    def of_shape(self, op: str, ne: Sequence[int], *src: Tensor) -> Tensor:
        """Floats of a given shape: for operations that only one architecture has."""
        return Tensor(op, F32, shape_of(*ne), None, list(src))

    def mul_mat_hadamard(self, cur: Tensor, rotation: Tensor) -> Tensor:
        """Each row turned by blocks (src/llama-impl.h:57)."""
        n = rotation.ne[0]
        rows = cur.nelements // n
        res = self.reshape(cur, n, rows) if cur.contiguous else self.cont(cur, n, rows)
        return self.reshape(self.mul_mat(rotation, res), *cur.ne)
