"""The tensor types that llama-quantize would give a model, without an importance matrix. Pure.

`llama_tensor_get_type` (src/llama-quant.cpp:446-777): names, shapes and a few numbers of the
header decide, never the types that the tensors have now. Types of the IQ1 to IQ3 families are left
out, because they need an importance matrix.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from llmdecl.facts.ggml_types import TENSOR_TYPES, TensorType
from llmdecl.facts.model import GgufFacts, TensorGroup

TYPES: Mapping[str, TensorType] = {kind.name: kind for kind in TENSOR_TYPES.values()}

FILE_TYPES: Mapping[str, str] = {
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_K_M": "Q5_K",
    "Q4_K_M": "Q4_K",
    "IQ4_XS": "IQ4_XS",
    "Q3_K_M": "Q3_K",
    "Q2_K": "Q2_K",
}
"""File types that can be worked out, largest first, with the type of most of their tensors."""

FALLBACKS: Mapping[str, str] = {
    "IQ4_XS": "IQ4_NL", "Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}  # fmt: skip
"""For rows that are not whole blocks (`tensor_type_fallback`, src/llama-quant.cpp:390)."""

KEPT = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel",
    "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight",
    "indexer.q_proj.weight", "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight",
    "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
    "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
    "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight", "attn_rel_b.weight", ".position_embd", "sam.pos_embd",
    "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd", ".patch_merger", "a.rvq.codebook",
    "mm.a.code_embd",
)  # fmt: skip
"""Parts of names of tensors that stay as they are (src/llama-quant.cpp:287-381)."""

KEPT_WHOLE = frozenset({"position_embd.weight", "token_types.weight"})

KEPT_GLM5 = (
    "hc_", "indexer.attn_q_b", "indexer.attn_k", "indexer.proj", "indexer_compressor_gate",
    "indexer_compressor_ape", "ssm_f_a.weight", "ssm_f_b.weight", "ssm_g_a.weight",
    "ssm_g_b.weight", "ssm_beta.weight", "attn_kv_a_mqa.weight", "attn_k_b.weight",
    "attn_v_b.weight",
)  # fmt: skip

ATTENTION_V = ("attn_qkv.weight", "attn_kv_b.weight", "attn_v.weight")

LARGEST_LAYERS: Mapping[str, int] = {"llama": 80, "deci": 80, "qwen2": 80, "olmo": 80, "jais2": 68}
"""Blocks that make an architecture `LLM_TYPE_70B`, whose values are shared by many heads."""


@dataclass(slots=True)
class _Counts:
    """What llama-quantize counts as it goes through the tensors (`quantize_state_impl`)."""

    gguf: GgufFacts
    file_type: str
    tied: bool
    attention_v: int
    layers: int
    experts: int
    seen: dict[str, int] = field(default_factory=dict)

    def next(self, what: str) -> int:
        """The number of this tensor among its kind, from 0."""
        number = self.seen.get(what, 0)
        self.seen[what] = number + 1
        return number

    @property
    def gqa(self) -> int:
        """Query heads that share one head of keys (`n_gqa`)."""
        heads, shared = self.number("attention.head_count"), self.number("attention.head_count_kv")
        return heads // shared if shared else 0

    @property
    def huge(self) -> bool:
        """`LLM_TYPE_70B`."""
        largest = LARGEST_LAYERS.get(self.gguf.architecture) == self.layers
        return largest and (self.gguf.architecture != "llama" or self.gqa > 1)

    def number(self, key: str) -> int:
        """A number of the header; of an array the first; heads of keys are those of queries
        where the header does not say."""
        value = self.gguf.parameter(key)
        if value is None and key == "attention.head_count_kv":
            return self.number("attention.head_count")
        value = value[0] if isinstance(value, tuple) and value else value
        return int(value) if isinstance(value, int | float) else 0


def requantized(gguf: GgufFacts, file_type: str) -> GgufFacts:
    """The header's facts if the model had been written as `file_type`, a key of `FILE_TYPES`."""
    counts = _Counts(
        gguf,
        file_type,
        tied=not any(group.name == "output.weight" for group in gguf.tensors),
        attention_v=sum(
            group.count for group in gguf.tensors if any(v in group.name for v in ATTENTION_V)
        ),
        layers=0,
        experts=0,
    )
    counts.layers, counts.experts = counts.number("block_count"), counts.number("expert_count")
    kinds: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for group, block in _in_order(gguf):
        name = group.name if block is None else group.name.replace("*", str(block), 1)
        kind = _type_of(counts, name, group)
        blocks = kinds.setdefault((group.name, kind, group.shape), [])
        if block is not None:
            blocks.append(block)
    tensors = tuple(
        TensorGroup(name=name, type=kind, shape=shape, blocks=tuple(sorted(blocks)))
        for (name, kind, shape), blocks in sorted(kinds.items())
    )
    size = sum(group_bytes(group) for group in tensors)
    return gguf.replace(
        file_type=FILE_TYPES[file_type],
        file_type_declared=file_type,
        tensor_bytes=size,
        file_bytes=size + max(0, gguf.file_bytes - gguf.tensor_bytes),
        tensors=tensors,
    )


def group_bytes(group: TensorGroup) -> int:
    """Bytes of all tensors of a group; of a type that is not known, as if of four bytes."""
    kind = TYPES.get(group.type, TYPES["F32"])
    size = kind.row_bytes(group.shape[0]) if group.shape else 0
    for n in group.shape[1:]:
        size *= n
    return size * group.count


def _in_order(gguf: GgufFacts) -> Iterator[tuple[TensorGroup, int | None]]:
    """By block, then by name: llama.cpp's own order (`weight_name_comparer`)."""
    found = [(block, group) for group in gguf.tensors for block in group.blocks]
    outside = [group for group in gguf.tensors if not group.blocks]
    for group in sorted(outside, key=lambda group: group.name):
        yield group, None
    for block, group in sorted(found, key=lambda each: (each[0], each[1].name)):
        yield group, block


def _type_of(counts: _Counts, name: str, group: TensorGroup) -> str:
    if not _allowed(counts.gguf.architecture, name, group.shape):
        return group.type
    kind = _mixture(counts, name, group.shape)
    if group.shape[0] % TYPES[kind].block_size:
        kind = FALLBACKS.get(kind, kind)
        if group.shape[0] % TYPES[kind].block_size:
            return "F16"
    return kind


def _allowed(architecture: str, name: str, shape: tuple[int, ...]) -> bool:
    """`tensor_allows_quantization`; dimensions of one at the end do not count."""
    if sum(n > 1 for n in shape[1:]) < 1 or not name.endswith("weight") or name in KEPT_WHOLE:
        return False
    kept = KEPT + KEPT_GLM5 if architecture == "glm5-next" else KEPT
    return not any(part in name for part in kept)


def _mixture(counts: _Counts, name: str, shape: tuple[int, ...]) -> str:
    """`llama_tensor_get_type_impl`: the first category whose name is in it decides."""
    kind = FILE_TYPES[counts.file_type]
    if counts.gguf.architecture == "glm5-next" and re.search(r"attn_q_[ab]|nextn\.eh_proj", name):
        return "Q8_0"
    embedding = name in ("token_embd.weight", "per_layer_token_embd.weight")
    if name == "output.weight" or (counts.tied and embedding):
        falcon = counts.gguf.architecture == "falcon"
        return "Q8_0" if falcon or shape[0] % TYPES[kind].block_size or kind == "Q8_0" else "Q6_K"
    if embedding:
        return kind
    for part, rule in RULES:
        if part in name:
            return rule(counts, name, kind)
    return kind


def _attention_v(counts: _Counts, name: str, kind: str) -> str:  # noqa: ARG001  # a rule's signature
    number = counts.next("attention_v")
    match counts.file_type:
        case "Q2_K":
            kind = "Q4_K" if counts.gqa >= 4 else "Q3_K"
        case "Q3_K_M":
            kind = "Q5_K" if number < 2 else "Q4_K"
        case "IQ4_XS" if counts.gqa >= 4:
            kind = "Q5_K"
        case "Q4_K_M" | "Q5_K_M" if _more_bits(number, counts.attention_v):
            kind = "Q6_K"
        case _:
            pass
    if counts.huge and kind in ("Q3_K", "Q4_K"):
        kind = "Q5_K"
    return "Q8_0" if counts.experts == 8 else kind


def _attention_k(counts: _Counts, name: str, kind: str) -> str:  # noqa: ARG001  # a rule's signature
    return "Q8_0" if counts.experts == 8 else kind


def _attention_output(counts: _Counts, name: str, kind: str) -> str:  # noqa: ARG001  # a rule's signature
    if counts.gguf.architecture == "falcon":
        return kind
    if counts.experts == 8:
        return "Q5_K" if counts.file_type in ("Q2_K", "Q3_K_M", "Q4_K_M", "IQ4_XS") else kind
    return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K"}.get(counts.file_type, kind)


def _ffn_down(counts: _Counts, name: str, kind: str) -> str:
    number, layers = counts.next("ffn_down"), counts.layers
    falcon = counts.gguf.architecture == "falcon"
    if counts.experts > 1:
        found = re.match(r"blk\.(\d+)\.", name)
        number = int(found[1]) if found else number
    match counts.file_type:
        case "Q2_K":
            return "Q3_K"
        case "Q3_K_M":
            if number < layers // 16:
                return "Q5_K"
            return "Q4_K" if not falcon or _more_bits(number, layers) else "Q3_K"
        case "Q4_K_M" if falcon:
            if number < layers // 16:
                return "Q6_K"
            return "Q5_K" if _more_bits(number, layers) else "Q4_K"
        case "Q4_K_M" | "Q5_K_M" if _more_bits(number, layers):
            return "Q6_K"
        case "IQ4_XS" if number < layers // 8:
            return "Q5_K"
        case _:
            return kind


def _same(counts: _Counts, name: str, kind: str) -> str:  # noqa: ARG001  # a rule's signature
    return kind


RULES: tuple[tuple[str, Callable[[_Counts, str, str], str]], ...] = (
    ("attn_qkv.weight", _attention_v),
    ("attn_kv_b.weight", _attention_v),
    ("attn_v.weight", _attention_v),
    ("attn_k.weight", _attention_k),
    ("attn_q.weight", _same),
    ("attn_output.weight", _attention_output),
    ("ffn_up", _same),
    ("ffn_gate", _same),
    ("ffn_down", _ffn_down),
)
"""By what is in the name, first match first (`tensor_get_category`)."""


def _more_bits(layer: int, layers: int) -> bool:
    """`use_more_bits`: the first and last eighth, and every third between."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2
