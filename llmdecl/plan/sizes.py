"""Least bytes of a model's layers: what the search for a placement can be certain of."""

import re

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.allocations import layer_bytes, loaded
from llmdecl.memory.model import EXPERTS, RunParameters
from llmdecl.plan.placement import Sizes


def layer_count(gguf: GgufFacts) -> int:
    """What `--n-gpu-layers` counts: blocks and the output."""
    return loaded(gguf).h.n_layer_all + 1


def layer_sizes(gguf: GgufFacts, run: RunParameters, *, kv_offload: bool = True) -> Sizes:
    """Weights and caches of each block, then of the output; never more than is allocated."""
    found = layer_bytes(gguf, run, kv_offload=kv_offload)
    return Sizes(layers=found.layers, experts=found.experts)


def is_expert(name: str) -> bool:
    """What `--cpu-moe` matches (common/common.h:1198); shared experts are none."""
    return re.search(EXPERTS, name) is not None
