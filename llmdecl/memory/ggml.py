"""Sizes of ggml's tensor types. A test compares the table with the `gguf` package."""

from collections.abc import Mapping

TYPES: Mapping[str, tuple[int, int]] = {
    "F32": (1, 4),
    "F16": (1, 2),
    "BF16": (1, 2),
    "F64": (1, 8),
    "I8": (1, 1),
    "I16": (1, 2),
    "I32": (1, 4),
    "I64": (1, 8),
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q8_1": (32, 40),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "Q8_K": (256, 292),
    "IQ1_S": (256, 50),
    "IQ1_M": (256, 56),
    "IQ2_XXS": (256, 66),
    "IQ2_XS": (256, 74),
    "IQ2_S": (256, 82),
    "IQ3_XXS": (256, 98),
    "IQ3_S": (256, 110),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
    "TQ1_0": (256, 54),
    "TQ2_0": (256, 66),
    "MXFP4": (32, 17),
    "NVFP4": (64, 36),
    "Q1_0": (128, 18),
}
"""Elements and bytes of a block, by type name."""

CPU_ALIGNMENT = 32
"""Bytes to which the CPU's buffers pad each tensor (ggml/src/ggml-alloc.c:1168)."""


def pad(value: int, to: int) -> int:
    """`value` rounded up to a multiple of `to`."""
    return -(-value // to) * to


def row_bytes(type_name: str, elements: int) -> int:
    """Bytes of one row of `elements`, which ggml wants to be whole blocks; rounded up if not."""
    block, size = TYPES[type_name.upper()]
    return -(-elements // block) * size


def tensor_bytes(type_name: str, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor, without padding; `shape` has the fastest dimension first."""
    rows = 1
    for dimension in shape[1:]:
        rows *= dimension
    return row_bytes(type_name, shape[0] if shape else 1) * rows
