"""`quantization` against the tensors."""

from collections import Counter
from collections.abc import Iterator, Mapping

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.model import GgufFacts, TensorGroup
from llmdecl.memory.ggml import TYPES, tensor_bytes
from llmdecl.plan import rules
from llmdecl.plan.subject import Subject
from llmdecl.plan.supply import Pinned
from llmdecl.spec.address import address

MEASURED: Mapping[str, frozenset[str]] = {
    name: frozenset(types.split())
    for name, types in {
        "F32": "F32",
        "F16": "F16",
        "BF16": "BF16",
        "Q1_0": "Q1_0",
        "Q2_K": "Q2_K Q3_K",
        "Q2_K_S": "Q2_K",
        "Q2_K_L": "Q2_K Q3_K",
        "Q3_K": "Q3_K",
        "Q3_K_S": "Q3_K",
        "Q3_K_M": "Q3_K",
        "Q3_K_L": "Q3_K Q5_K",
        "Q3_K_XL": "Q3_K Q5_K",
        "Q4_0": "Q4_0",
        "Q4_1": "Q4_1",
        "Q4_K": "Q4_K",
        "Q4_K_S": "Q4_K",
        "Q4_K_M": "Q4_K",
        "Q4_K_L": "Q4_K",
        "Q4_K_XL": "Q4_K",
        "Q5_0": "Q5_0",
        "Q5_1": "Q5_1",
        "Q5_K": "Q5_K",
        "Q5_K_S": "Q5_K",
        "Q5_K_M": "Q5_K",
        "Q5_K_L": "Q5_K",
        "Q5_K_XL": "Q5_K",
        "Q6_K": "Q6_K",
        "Q6_K_L": "Q6_K",
        "Q6_K_XL": "Q6_K Q8_0",
        "Q8_0": "Q8_0",
        "Q8_K_XL": "Q8_0",
        "IQ1_S": "IQ1_S IQ2_XXS",
        "IQ1_M": "IQ1_M IQ2_XXS",
        "IQ2_XXS": "IQ2_XXS",
        "IQ2_XS": "IQ2_XS",
        "IQ2_S": "IQ2_XS",
        "IQ2_M": "IQ2_S",
        "IQ3_XXS": "IQ3_XXS",
        "IQ3_XS": "IQ3_S IQ3_XXS",
        "IQ3_S": "IQ3_S",
        "IQ3_M": "IQ3_S",
        "IQ4_NL": "IQ4_NL",
        "IQ4_XS": "IQ4_XS",
        "TQ1_0": "TQ1_0",
        "TQ2_0": "TQ2_0",
        "MXFP4": "MXFP4",
        "MXFP4_MOE": "MXFP4",
        "NVFP4": "NVFP4",
    }.items()
}
"""File types of llama-quantize (`enum llama_ftype`, b10434) and the tensor types that make them;
sizes with `_L` and `_XL` are their publishers' variants with better embeddings."""

FALLEN_BACK: Mapping[str, frozenset[str]] = {
    "Q5_0": frozenset({"Q4_K", "Q3_K", "Q2_K"}),
    "Q5_1": frozenset({"Q5_K"}),
    "Q8_0": frozenset({"Q6_K", "Q5_K"}),
    "Q4_0": frozenset({"Q2_K", "Q3_K"}),
    "IQ4_NL": frozenset({"Q2_K", "Q3_K", "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS"}),
    "F16": frozenset(TYPES),
}
"""What llama-quantize takes for rows that are no multiple of 256, and what it stands for."""


def block_type(gguf: GgufFacts) -> tuple[str, bool]:
    """The type that holds most bytes of the blocks' matrices, and whether its rows are short.

    Embeddings are left out: in a small model with a large vocabulary they would outweigh all else.
    """
    matrices = [g for g in gguf.tensors if g.blocks and len(g.shape) > 1 and g.type != "F32"]
    sizes: Counter[tuple[str, bool]] = Counter()
    for group in matrices or [g for g in gguf.tensors if len(g.shape) > 1]:
        sizes[group.type, _is_short(group)] += group.count * tensor_bytes(
            group.type if group.type in TYPES else "F32", group.shape
        )
    ranked = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return ranked[0][0] if ranked else (gguf.file_type, False)


def _is_short(group: TensorGroup) -> bool:
    return group.shape[0] % 256 != 0


def check_file_type(subject: Subject) -> Iterator[Diagnostic]:
    """The model's own, the draft's and the projector's quantization."""
    own = address("models", subject.name, "quantization")
    yield from _check(subject.model.quantization, subject.weights, own)
    if subject.draft is not None and subject.model.draft is not None:
        wanted = subject.model.draft.quantization
        yield from _check(
            wanted, subject.draft, address("models", subject.name, "draft", "quantization")
        )
    if subject.mmproj is not None and subject.model.mmproj is not None:
        wanted = subject.model.mmproj.quantization
        yield from _check(
            wanted, subject.mmproj, address("models", subject.name, "mmproj", "quantization")
        )


def _check(wanted: str | None, pinned: Pinned, at: str) -> Iterator[Diagnostic]:
    if wanted is None or pinned.gguf is None:
        return
    allowed = MEASURED.get(wanted.upper().removeprefix("UD-"))
    if allowed is None:
        summary = f"`{wanted}` is no file type of llama.cpp, so it is not checked"
        yield rules.QUANTIZATION_UNKNOWN.at(at, summary)
        return
    measured, short = block_type(pinned.gguf)
    if measured in allowed or (short and FALLEN_BACK.get(measured, frozenset()) & allowed):
        return
    notes = [f"most bytes of the block matrices are {measured}"]
    if pinned.gguf.file_type_declared:
        notes.append(f"the header calls the file {pinned.gguf.file_type_declared}")
    summary = f"`{wanted}` is asked for, but the tensors are {measured}"
    yield rules.FILE_TYPE_MISMATCH.at(at, summary, notes=notes)
