"""Which pairs of cache types an engine's flash attention on CUDA and HIP is compiled for. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

ALL, PAIRS = "GGML_CUDA_FA_ALL_QUANTS", "GGML_CUDA_FA_QUANTS"
TYPES = frozenset({"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "bf16", "f16"})
"""Those that have a kernel at all, as `cmake/` of ggml lists them; F32 is taken for F16."""
_ALONE = frozenset({"f16", "bf16", "q4_0", "q8_0"})
"""Before the list of pairs: equal types, and only these (`ggml-cuda/fattn.cu`)."""


class Lacks(NamedTuple):
    """What happens instead, and the option that compiles the pair."""

    instead: str
    option: str
    value: str


def lacks(options: Mapping[str, str], type_k: str, type_v: str) -> Lacks | None:
    """None for a pair that is compiled, that nothing is known of, or that has no kernel."""
    k, v = ("f16" if each == "f32" else each for each in (type_k, type_v))
    if k not in TYPES or v not in TYPES or options.get(ALL) == "ON":
        return None
    if PAIRS in options:
        given = options[PAIRS].lower().replace(",", ";")
        pairs = [pair.strip() for pair in given.split(";")]
        if given.strip() == "all" or f"{k}-{v}" in (*pairs, "f16-f16"):
            return None
        return Lacks("copies the cache as F16 for every token", PAIRS, f"{options[PAIRS]};{k}-{v}")
    if ALL not in options or (k == v and k in _ALONE):
        return None
    return Lacks("computes attention on the CPU", ALL, "ON")
