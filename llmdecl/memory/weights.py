"""Weights in host memory: what is read or mapped, and the copies that the CPU repacks."""

from collections.abc import Collection

from llmdecl.facts.model import GgufFacts, TensorGroup
from llmdecl.memory.ggml import CPU_ALIGNMENT, TYPES, pad, tensor_bytes
from llmdecl.memory.model import MemoryPart, RunParameters

REPACK_X86 = {
    "Q4_0": "avx2",
    "Q4_K": "avx2",
    "IQ4_NL": "avx2",
    "MXFP4": "avx2",
    "Q2_K": "avx512f",
}
"""Types that x86 repacks and the kernel's name of the feature it takes (ggml-cpu/repack.cpp)."""

REPACK_ARM = {
    "Q4_0": "asimddp",
    "Q4_K": "asimddp",
    "Q5_K": "asimddp",
    "Q6_K": "asimddp",
    "Q8_0": "asimddp",
    "IQ4_NL": "asimddp",
    "MXFP4": "asimddp",
    "Q2_K": "asimddp",
}
"""The same for ARM; i8mm machines have dot products too."""

LOOKED_UP = frozenset(
    {"token_embd.weight", "per_layer_token_embd.weight", "position_embd.weight",
     "token_types.weight"}
)  # fmt: skip
"""Tensors read row by row: no matrix product, so no repacking."""


def padded_bytes(group: TensorGroup) -> int:
    """Bytes of all tensors of a group in a CPU buffer; a type unknown here counts as f32."""
    kind = group.type if group.type in TYPES else "F32"
    return group.count * pad(tensor_bytes(kind, group.shape), CPU_ALIGNMENT)


def weights_bytes(gguf: GgufFacts) -> int:
    """Bytes of every tensor in a CPU buffer. Exact (ggml/src/ggml-alloc.c:1168)."""
    return sum(padded_bytes(group) for group in gguf.tensors)


def repacked(gguf: GgufFacts, features: Collection[str]) -> tuple[TensorGroup, ...]:
    """Groups of which the CPU makes a repacked copy (ggml/src/ggml-cpu/repack.cpp:4974-5230).

    Two-dimensional matrices and stacks of experts that enter a matrix product, with rows
    divisible by 8. A tied embedding is one of them: its copy for the output matrix.
    """
    arm = "asimd" in features
    needed = REPACK_ARM if arm else REPACK_X86
    multiple = 4 if arm else 8
    return tuple(
        group
        for group in gguf.tensors
        if needed.get(group.type, "") in features
        and _multiplied(group, tied=is_tied(gguf))
        and group.shape[1] % multiple == 0
    )


def is_tied(gguf: GgufFacts) -> bool:
    """The embedding is the output matrix as well."""
    return all(group.name != "output.weight" for group in gguf.tensors)


def _multiplied(group: TensorGroup, *, tied: bool) -> bool:
    if group.name in LOOKED_UP:
        return tied and group.name == "token_embd.weight"
    if not group.name.endswith(".weight"):
        return False
    if len(group.shape) == 3:
        return "_exps." in group.name
    return len(group.shape) == 2


def weights_parts(
    gguf: GgufFacts, digest: str, run: RunParameters, features: Collection[str]
) -> tuple[MemoryPart, ...]:
    """Mapped weights count once for every process that maps the file; repacked copies are private.

    A mapping keeps the pages of repacked tensors as well; read into memory they are held once.
    """
    copies = repacked(gguf, features) if run.repack else ()
    copied = sum(padded_bytes(group) for group in copies)
    everything = weights_bytes(gguf)
    moved = sum(padded_bytes(group) for group in copies if group.name not in LOOKED_UP)
    kept = everything if run.mapped else everything - moved
    shared = f"weights:{digest}" if run.mapped else None
    parts = [MemoryPart(pool="host", part="weights", bytes=kept, exact=True, shared=shared)]
    if copied:
        parts.append(MemoryPart(pool="host", part="repacked", bytes=copied, exact=True))
    return tuple(parts)
