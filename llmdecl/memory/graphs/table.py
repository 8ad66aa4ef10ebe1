"""Every architecture whose graph is known: what it reads, keeps and computes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llmdecl.memory.graphs.caches import Memory, attention, hybrid
from llmdecl.memory.graphs.context import Context
from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.graphs.models import (
    deepseek,
    deepseek2,
    glm4,
    glm4_moe,
    routed,
    gemma,
    gemma2,
    gemma3,
    gemma3n,
    gemma4,
    gemma_embedding,
    llama,
    llama4,
    mistral3,
    openai_moe,
    qwen,
    qwen2,
    qwen2moe,
    qwen2vl,
    qwen3,
    qwen3moe,
    qwen3next,
    qwen3vl,
    qwen35,
    seed_oss,
    smollm3,
)
from llmdecl.memory.graphs.site import Site
from llmdecl.memory.model import RunParameters


def _nothing(h: HParams) -> None:
    """The architecture reads no more than all do."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """`hparams` adds what only this one reads (`load_arch_hparams`), `memory` makes its caches
    (`create_memory`; `None`: it keeps nothing), `graph` builds its graph (`build_arch_graph`).

    `unused` says which tensors of the file are not loaded, beside those of nextn blocks.
    """

    graph: Callable[[Context], None]
    hparams: Callable[[HParams], None] = _nothing
    memory: Callable[[HParams, RunParameters, Site], Memory] = attention
    unused: Callable[[HParams, str], bool] = lambda _h, _name: False
    looped: bool = False
    """The graph depends on the number of blocks beyond their kinds: none may be left out."""


def no_memory(_h: HParams, _run: RunParameters, _site: Site) -> Memory:
    """Encoders keep nothing."""
    return Memory()


def general_hparams(h: HParams) -> None:
    """An architecture that is not in the table: states wherever the header speaks of some."""
    if h.ssm_d_inner:
        h.mamba_state()
        h.is_recr = [True] * h.n_layer_all


def general_memory(h: HParams, run: RunParameters, site: Site) -> Memory:
    """Caches in every block: a bound."""
    return hybrid(h, run, site, lambda _il: True) if any(h.is_recr) else attention(h, run, site)


def _no_graph(_g: Context) -> None:
    """Nothing is known of it."""


UNKNOWN = Architecture(_no_graph, general_hparams, general_memory)
"""Any other architecture: general rules, nothing exact but its weights."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "deepseek": Architecture(deepseek.graph),
    "deepseek2": Architecture(deepseek2.graph),
    "deepseek2-ocr": Architecture(deepseek2.graph),
    "glm4": Architecture(glm4.graph, routed.mrope),
    "glm4moe": Architecture(glm4_moe.graph, routed.mrope),
    "gemma": Architecture(gemma.graph),
    "gemma-embedding": Architecture(gemma_embedding.graph, gemma_embedding.hparams, no_memory),
    "gemma2": Architecture(gemma2.graph, gemma2.hparams),
    "gemma3": Architecture(gemma3.graph, gemma3.hparams),
    "gemma3n": Architecture(gemma3n.graph, gemma3n.hparams),
    "gemma4": Architecture(gemma4.graph, gemma4.hparams),
    "gpt-oss": Architecture(openai_moe.graph, openai_moe.hparams),
    "llama": Architecture(llama.graph),
    "llama4": Architecture(llama4.graph, llama4.hparams),
    "mistral3": Architecture(mistral3.graph),
    "qwen": Architecture(qwen.graph),
    "qwen2": Architecture(qwen2.graph),
    "qwen2moe": Architecture(qwen2moe.graph),
    "qwen2vl": Architecture(qwen2.graph, qwen2vl.hparams),
    "qwen3": Architecture(qwen3.graph),
    "qwen35": Architecture(qwen35.graph, qwen35.hparams, hybrid),
    "qwen35moe": Architecture(qwen35.graph, qwen35.hparams, hybrid),
    "qwen3moe": Architecture(qwen3moe.graph),
    "qwen3next": Architecture(qwen3next.graph, qwen3next.hparams, hybrid),
    "qwen3vl": Architecture(qwen3vl.graph, qwen3vl.hparams),
    "qwen3vlmoe": Architecture(qwen3vl.graph, qwen3vl.hparams),
    "seed_oss": Architecture(seed_oss.graph),
    "smollm3": Architecture(smollm3.graph, smollm3.hparams),
}
"""By `general.architecture`."""
