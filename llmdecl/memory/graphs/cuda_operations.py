"""Operations that CUDA computes for some shapes only, as far as graphs have others.

`ggml_backend_cuda_device_supports_op` (ggml/src/ggml-cuda/ggml-cuda.cu:5137). What it refuses is
computed on the CPU.
"""

from collections.abc import Callable, Mapping

from llmdecl.memory.ggml.tensor import PRECISE, Tensor

SAME_HEADS = frozenset({40, 64, 72, 80, 96, 112, 128, 256})
"""Sizes of key heads that flash attention computes if value heads are as large."""

GROUPED_HEADS = {192: (128, 8), 320: (256, 32), 512: (512, 1), 576: (512, 1)}
"""Those it computes for several query heads a key head: size of a value head, and a factor of
the query heads."""

CACHE_TYPES = frozenset({"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"})

CELLS = 256
"""`FATTN_KQ_STRIDE`."""

STRIDE = 16
"""Bytes."""


def _flash_attention(node: Tensor) -> bool:
    """`ggml_cuda_get_best_fattn_kernel` (fattn.cu:541)."""
    q, k, v = node.src[:3]
    mask = node.src[3] if len(node.src) > 3 else None
    if k.type.name not in CACHE_TYPES or v.type.name not in CACHE_TYPES:
        return False
    head_k, head_v = k.ne[0], v.ne[0]
    if head_k in SAME_HEADS:
        return head_v == head_k
    if head_k not in GROUPED_HEADS or mask is None:
        return False
    values, factor = GROUPED_HEADS[head_k]
    ratio = q.ne[2] // k.ne[2]
    aligned = all(nb % STRIDE == 0 for t in (q, k, v, mask) if not t.quantized for nb in t.nb[1:])
    return (
        head_v == values and ratio >= 2 and ratio % factor == 0 and aligned and k.ne[1] % CELLS == 0
    )


def _ssm_scan(node: Tensor) -> bool:
    state, a, b = node.src[0], node.src[3], node.src[4]
    if a.ne[0] == 1:
        return state.ne[0] in (96, 128, 256) and state.ne[1] % 16 == 0
    return state.ne[:2] == (16, 1) and state.ne[2] % 128 == 0 and b.ne[1] == 1


COMPUTED: Mapping[str, Callable[[Tensor], bool]] = {
    "FLASH_ATTN_EXT": _flash_attention,
    "MUL_MAT_ID": lambda node: not node.flags & PRECISE,
    "SSM_CONV": lambda node: node.src[0].ne[1] % 128 == 0,
    "SSM_SCAN": _ssm_scan,
}
"""By operation, whether CUDA computes a node; others it always does."""

ROWS = 128
"""Convolutions and Mamba's scans are computed in as many rows at once."""

MAMBA_STATE = 16

READ: Mapping[str, Callable[[tuple[int, ...]], bool]] = {
    "ssm_conv1d": lambda ne: ne[-1] % ROWS == 0,
    "shortconv.conv": lambda ne: ne[-1] % ROWS == 0,
    "ssm_a": lambda ne: len(ne) == 1 or ne[0] == 1 or (ne[0] == MAMBA_STATE and ne[1] % ROWS == 0),
}
"""The same by weights, without block and suffix: shapes that stay on a device."""
