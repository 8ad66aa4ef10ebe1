"""Least bytes of a model's layers: what the search for a placement can be certain of."""

import re
from collections import defaultdict
from dataclasses import replace

from llmdecl.facts.model import GgufFacts
from llmdecl.memory.ggml import TYPES, tensor_bytes
from llmdecl.memory.hparams import Shape, integer
from llmdecl.memory.kv_cache import kv_cache_bytes
from llmdecl.memory.model import RunParameters
from llmdecl.memory.recurrent import recurrent_bytes
from llmdecl.plan.placement import Sizes

EXPERT = re.compile(r"\.ffn_(up|down|gate|gate_up)_(ch|)exps")


def layer_count(gguf: GgufFacts) -> int:
    """What `--n-gpu-layers` counts: blocks and the output."""
    return integer(gguf, "block_count") + 1


def layer_sizes(
    gguf: GgufFacts, shape: Shape, run: RunParameters, *, kv_offload: bool = True
) -> Sizes:
    """Weights and caches of each block, then of the output; never more than is allocated.

    Blocks for the prediction of several tokens stay unread, so they count nothing
    (src/llama-model-loader.cpp:1178).
    """
    blocks = integer(gguf, "block_count")
    unread = blocks - integer(gguf, "nextn_predict_layers")
    sizes, experts = defaultdict[int, int](int), defaultdict[int, int](int)
    output = {"output.weight": 0, "token_embd.weight": 0}
    for group in gguf.tensors:
        each = tensor_bytes(group.type, group.shape) if group.type in TYPES else 0
        if group.name in output:
            output[group.name] += each
        for block in group.blocks:
            if block < unread:
                sizes[block] += each
                experts[block] += each if is_expert(group.name) else 0
    if not shape.encoder:
        sizes[blocks] = output["output.weight"] or output["token_embd.weight"]
    caches = _caches(shape, run) if kv_offload else ()
    for block, size in enumerate(caches[:blocks]):
        sizes[block] += size
    return Sizes(
        layers=tuple(sizes[block] for block in range(blocks + 1)),
        experts=tuple(experts[block] for block in range(blocks)),
    )


def is_expert(name: str) -> bool:
    """What `--cpu-moe` matches (common/common.h:1198); shared experts are none."""
    return EXPERT.search(name) is not None


def _caches(shape: Shape, run: RunParameters) -> tuple[int, ...]:
    alone = (replace(shape, layers=(layer,)) for layer in shape.layers)
    return tuple(kv_cache_bytes(each, run) + recurrent_bytes(each, run) for each in alone)
