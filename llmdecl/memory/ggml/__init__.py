"""Sizes in ggml's tensor types."""

from llmdecl.facts.ggml_types import TENSOR_TYPES

TYPES = {kind.name: kind for kind in TENSOR_TYPES.values()}
"""Tensor types by name."""

CPU_ALIGNMENT = 32
"""Bytes to which the CPU's buffers pad each tensor (ggml/src/ggml-alloc.c:1168)."""


def pad(value: int, to: int) -> int:
    """`value` rounded up to a multiple of `to`."""
    return -(-value // to) * to


def row_bytes(type_name: str, elements: int) -> int:
    """Bytes of one row of `elements`, which ggml wants to be whole blocks; rounded up if not.

    A type that is newer than the table counts as four bytes an element.
    """
    return TYPES.get(type_name.upper(), TYPES["F32"]).row_bytes(elements)


def tensor_bytes(type_name: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor, without padding; `shape` has the fastest dimension first."""
    rows = 1
    for dimension in shape[1:]:
        rows *= dimension
    return row_bytes(type_name, shape[0] if shape else 1) * rows
