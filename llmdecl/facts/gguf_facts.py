"""A header, or those of all parts of a split model, as facts and judgements. Pure."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmdecl.diagnostics import Diagnostic
from llmdecl.facts import rules
from llmdecl.facts.ggml_types import FILE_TYPES
from llmdecl.facts.gguf_values import (
    CHAT_TEMPLATE,
    TOKEN_TYPES,
    TOKENS,
    GgufHeader,
    Passed,
    TensorInfo,
    printable,
)
from llmdecl.facts.model import GgufFacts, Scalar, TensorGroup, VocabularyFacts
from llmdecl.units import format_bytes

_BLOCK = re.compile(r"(^|\.)blk\.(\d+)(?=\.)")
_LEFT_OUT = (TOKENS, TOKEN_TYPES, "tokenizer.ggml.merges", "tokenizer.ggml.scores", CHAT_TEMPLATE)
_LONGEST_TEXT = 4096
_GUESSED = 1024


def gguf_facts(headers: Sequence[GgufHeader]) -> GgufFacts | None:
    """The facts of one model from the headers of its parts, the first one with the keys.

    None when it names no architecture.
    """
    first = headers[0]
    architecture = first.text("general.architecture")
    if not architecture:
        return None
    tensors = [tensor for header in headers for tensor in header.tensors]
    return GgufFacts(
        architecture=architecture,
        type=first.text("general.type") or "model",
        name=first.text("general.name"),
        file_type=measured_file_type(tensors),
        file_type_declared=_declared_file_type(first),
        n_params=sum(tensor.elements for tensor in tensors),
        tensor_bytes=sum(tensor.bytes for tensor in tensors),
        file_bytes=sum(header.file_bytes for header in headers),
        tensors=tensor_groups(tensors),
        vocabulary=_vocabulary(first),
        chat_template_sha256=first.digests.get(CHAT_TEMPLATE),
        parameters=dict(_parameters(first, architecture)),
    )


def measured_file_type(tensors: Iterable[TensorInfo]) -> str:
    """The tensor type with most bytes among the matrices, or among all when there are none."""
    tensors = tuple(tensors)
    matrices = [tensor for tensor in tensors if sum(d > 1 for d in tensor.shape) > 1]
    size: Counter[str] = Counter()
    for tensor in matrices or tensors:
        size[tensor.type.name] += tensor.bytes
    return max(sorted(size), key=lambda name: size[name], default="F32")


def tensor_groups(tensors: Iterable[TensorInfo]) -> tuple[TensorGroup, ...]:
    """Tensors by name pattern, type and shape, sorted."""
    groups: dict[tuple[str, str, tuple[int, ...]], list[int]] = defaultdict(list)
    for tensor in tensors:
        match = _BLOCK.search(tensor.name)
        if match is None:
            groups[tensor.name, tensor.type.name, tensor.shape] = []
            continue
        pattern = f"{tensor.name[: match.start(2)]}*{tensor.name[match.end(2) :]}"
        groups[pattern, tensor.type.name, tensor.shape].append(int(match[2]))
    return tuple(
        TensorGroup(name=name, type=kind, shape=shape, blocks=tuple(sorted(set(blocks))))
        for (name, kind, shape), blocks in sorted(groups.items())
    )


def _declared_file_type(header: GgufHeader) -> str | None:
    number = header.number("general.file_type")
    return None if number is None else FILE_TYPES.get(number & ~_GUESSED)


def _vocabulary(header: GgufHeader) -> VocabularyFacts | None:
    model = header.text("tokenizer.ggml.model")
    tokens = header.kv.get(TOKENS)
    if model is None or not isinstance(tokens, Passed) or tokens.kind != "string":
        return None
    pre = header.text("tokenizer.ggml.pre")
    digests = (header.digests.get(key, "") for key in (TOKENS, TOKEN_TYPES))
    identity = "\0".join((model, pre or "", str(tokens.count), *digests))
    add_bos = header.kv.get("tokenizer.ggml.add_bos_token")
    return VocabularyFacts(
        model=model,
        pre=pre,
        size=tokens.count,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        bos_token_id=header.number("tokenizer.ggml.bos_token_id"),
        eos_token_id=header.number("tokenizer.ggml.eos_token_id"),
        add_bos_token=add_bos if isinstance(add_bos, bool) else None,
    )


def _parameters(
    header: GgufHeader, architecture: str
) -> Iterator[tuple[str, Scalar | tuple[Scalar, ...]]]:
    prefixes = ("general.", "tokenizer.", f"{architecture}.")
    for key, value in sorted(header.kv.items()):
        if isinstance(value, Passed) or not key.startswith(prefixes):
            continue
        if key.startswith(_LEFT_OUT):
            continue
        texts = value if isinstance(value, tuple) else (value,)
        if all(not isinstance(text, str) or len(text) <= _LONGEST_TEXT for text in texts):
            yield key, value


def judge_tensors(header: GgufHeader, address: str, name: str) -> tuple[Diagnostic, ...]:
    """Whether the tensors lie one after another inside the file, as llama.cpp wants them."""
    misplaced: list[str] = []
    expected = end = 0
    for tensor in header.tensors:
        if tensor.offset != expected:
            misplaced.append(_misplaced(tensor, expected, header.alignment))
        end = max(end, tensor.offset + tensor.bytes)
        expected = -(-(tensor.offset + tensor.bytes) // header.alignment) * header.alignment
    found: list[Diagnostic] = []
    if misplaced:
        more = f"{len(misplaced) - 3} more" if len(misplaced) > 3 else ""
        summary = f"`{name}` has {len(misplaced)} of {len(header.tensors)} tensors out of place"
        notes = [*misplaced[:3], *([more] if more else [])]
        found.append(rules.GGUF_MISPLACED.at(address, summary, notes=notes))
    if header.tensors and header.data_offset + end > header.file_bytes:
        found.append(_tensors_cut_short(header, end, address, name))
    return tuple(found)


def _misplaced(tensor: TensorInfo, expected: int, alignment: int) -> str:
    if tensor.offset % alignment:
        what = f"is no multiple of the alignment {alignment}"
    elif tensor.offset < expected:
        what = "overlaps the tensor before it"
    else:
        what = "leaves a gap"
    name = printable(tensor.name)
    return f"`{name}` is at {tensor.offset:,} instead of {expected:,}, which {what}"


def _tensors_cut_short(header: GgufHeader, end: int, address: str, name: str) -> Diagnostic:
    wanted = header.data_offset + end
    lost = sum(
        header.data_offset + tensor.offset + tensor.bytes > header.file_bytes
        for tensor in header.tensors
    )
    summary = (
        f"`{name}` has {format_bytes(header.file_bytes)}, "
        f"its tensors reach to {format_bytes(wanted)}"
    )
    notes = (
        f"{header.file_bytes:,} of {wanted:,} bytes",
        f"{lost} of {len(header.tensors)} tensors are not whole",
    )
    return rules.GGUF_CUT_SHORT.at(address, summary, notes=notes)


def judge_model(
    headers: Sequence[GgufHeader], facts: GgufFacts | None, address: str, name: str
) -> tuple[Diagnostic, ...]:
    """Whether an engine could serve it at all."""
    if facts is None:
        return (rules.GGUF_NO_MODEL.at(address, f"`{name}` names no architecture"),)
    if not any(header.tensors for header in headers):
        return (rules.GGUF_NO_MODEL.at(address, f"`{name}` holds no tensors"),)
    return ()


def judge_parts(
    headers: Mapping[str, GgufHeader], names: Sequence[str], address: str
) -> tuple[Diagnostic, ...]:
    """Whether parts belong together: numbers, counts, and tensors by the first part's promise."""
    found: list[str] = []
    for index, name in enumerate(names):
        header = headers[name]
        number, count = header.number("split.no"), header.number("split.count")
        if (number, count) != (index, len(names)):
            found.append(
                f"`{name}` says that it is part {_part(number)} of {count}, "
                f"by its name it is {index + 1} of {len(names)}"
            )
    promised = headers[names[0]].number("split.tensors.count")
    tensors = [tensor.name for header in headers.values() for tensor in header.tensors]
    if promised is not None and promised != len(tensors):
        found.append(f"the parts hold {len(tensors)} tensors, the first one promises {promised}")
    twice = [name for name, times in Counter(tensors).items() if times > 1]
    if twice:
        found.append(f"`{printable(twice[0])}` is in two parts")
    if not found:
        return ()
    summary = f"the parts of `{names[0]}` do not belong together"
    return (rules.SPLIT_PART_MISMATCH.at(address, summary, notes=found[:5]),)


def _part(number: int | None) -> str:
    return "none" if number is None else str(number + 1)
