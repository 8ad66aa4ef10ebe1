"""Pairs of cache types that flash attention is compiled for."""

import pytest

from llmdecl.engines.llama_cpp.attention import ALL, PAIRS, TYPES, lacks

USUAL = {ALL: "OFF", PAIRS: "q4_0-q4_0;q8_0-q8_0;f16-f16;bf16-bf16"}
BEFORE = {ALL: "OFF"}


@pytest.mark.parametrize(
    ("options", "k", "v", "option"),
    [
        (USUAL, "f16", "f16", None),
        (USUAL, "q8_0", "q8_0", None),
        (USUAL, "q8_0", "q4_0", PAIRS),
        (USUAL, "q5_1", "q5_1", PAIRS),
        (USUAL, "f32", "f32", None),
        (USUAL, "iq4_nl", "iq4_nl", None),  # no kernel for it in any build
        ({**USUAL, ALL: "ON"}, "q8_0", "q4_0", None),
        ({**USUAL, PAIRS: "all"}, "q8_0", "q4_0", None),
        ({PAIRS: "q8_0-q4_0, q5_0-q5_0"}, "q5_0", "q5_0", None),
        ({PAIRS: "q8_0-q4_0"}, "f16", "f16", None),  # always compiled
        (BEFORE, "q8_0", "q8_0", None),
        (BEFORE, "q8_0", "q4_0", ALL),
        (BEFORE, "q5_0", "q5_0", ALL),
        ({}, "q8_0", "q4_0", None),
    ],
)
def test_lacks(options: dict[str, str], k: str, v: str, option: str | None) -> None:
    """`ggml_cuda_fattn_vec_instances` of today, `fattn.cu` of before."""
    found = lacks(options, k, v)
    assert (found and found.option) == option


@pytest.mark.parametrize("options", [USUAL, BEFORE, {PAIRS: "f16-f16"}])
@pytest.mark.parametrize("k", sorted(TYPES))
@pytest.mark.parametrize("v", sorted(TYPES))
def test_the_remedy_compiles_it(options: dict[str, str], k: str, v: str) -> None:
    """With the option that is offered, the pair is compiled."""
    found = lacks(options, k, v)
    if found is not None:
        assert lacks({**options, found.option: found.value}, k, v) is None
