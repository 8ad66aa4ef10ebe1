"""What deciding rooms ask of a header: contexts, kinds of layers, widths of heads."""

from dataclasses import dataclass

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import guarded
from llmdecl.memory.graphs.simulate import LoadedModel
from llmdecl.memory.graphs.table import no_memory

ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "jina-bert-v2",
        "jina-bert-v3",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "t5encoder",
    }
)
"""Architectures that embed whole texts (src/llama-model.cpp:2375)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A header in a few words.

    `known`: the architecture's graph is in the table. `encoder`: it embeds whole texts and keeps
    no cache. `windowed`: some layer keeps a sliding window only. `recurrent`: some layer keeps a
    state that does not grow with the context.
    """

    architecture: str
    known: bool
    n_ctx_train: int
    n_vocab: int
    head_k: int
    head_v: int
    causal: bool
    encoder: bool
    mla: bool
    attends: bool
    windowed: bool
    recurrent: bool


def shape_of(gguf: GgufFacts) -> Shape:
    """The shape of `gguf`; numbers that the header lacks count as 0."""
    return guarded(gguf, lambda model: _shape(gguf, model))


def _shape(gguf: GgufFacts, model: LoadedModel) -> Shape:
    h = model.h
    layers = range(h.n_layer)
    return Shape(
        architecture=gguf.architecture,
        known=model.known,
        n_ctx_train=h.n_ctx_train,
        n_vocab=h.n_vocab,
        head_k=h.head_k_full,
        head_v=h.head_v_full,
        causal=h.causal,
        encoder=gguf.architecture in ENCODERS,
        mla=h.is_mla,
        attends=model.architecture.memory is not no_memory
        and any(h.n_head_kv(il) for il in layers),
        windowed=any(h.is_swa[il] for il in layers),
        recurrent=bool(h.n_embd_r or h.n_embd_s),
    )
