"""`--split-mode tensor`: what each device gets of every matrix."""

import pytest

from llmdecl.memory.allocations import allocations, loaded
from llmdecl.memory.model import Device, Placement
from llmdecl.memory.tensor_parallel import refusal
from tests.memory.test_allocations import MODELS, TRUTH, parameters

LLAMA = MODELS["llama-3.1-8b-q4_k_m"]
RUN = parameters(next(row for row in TRUTH["rows"] if row["model"] == "llama-3.1-8b-q4_k_m"))
MODELS_OF_HEADS = ["llama-3.1-8b-q4_k_m", "gemma-3-12b-q4_k_m", "gpt-oss-20b-mxfp4"]


def cut(gguf, *shares, mode="tensor", n_gpu_layers=99):
    """What `gguf` takes on as many cards as there are shares, and on the host."""
    cards = tuple(
        Device(id=f"gpu{number}", backend="cuda", free_bytes=24 << 30)
        for number in range(len(shares))
    )
    placement = Placement(
        devices=cards,
        n_gpu_layers=n_gpu_layers,
        split_mode=mode,
        tensor_split=tuple(map(float, shares)),
    )
    return allocations(gguf, RUN, placement, ())


def test_equal_shares_are_equal():
    """32 layers of 8 key heads: halves, but for norms, which both have whole."""
    found, alone = cut(LLAMA, 1, 1), cut(LLAMA, 1, mode="none")
    first, second, host = found.places
    whole = alone.places[0]
    assert (first.weights, first.kv_cache) == (second.weights, second.kv_cache)
    assert first.kv_cache == whole.kv_cache // 2
    norms = 2 * first.weights - whole.weights
    assert 0 < norms < 2 << 20
    assert host == alone.host
    assert found.spread
    assert not found.compute_exact
    assert not found.pipeline


@pytest.mark.parametrize("name", MODELS_OF_HEADS)
@pytest.mark.parametrize("shares", [(3, 1), (2, 1, 1), (1, 1, 1)])
def test_nothing_is_lost(name, shares):
    """Caches add up to the whole; weights to no less."""
    gguf = MODELS[name]
    devices = cut(gguf, *shares).places[:-1]
    whole = cut(gguf, 1, mode="none").places[0]
    assert abs(sum(place.kv_cache for place in devices) - whole.kv_cache) <= 64 * len(shares)
    assert sum(place.weights for place in devices) >= whole.weights
    assert all(place.compute == whole.compute for place in devices)
    largest = max(range(len(shares)), key=lambda device: shares[device])
    assert devices[largest].weights >= 0.99 * max(place.weights for place in devices)


def test_what_rounding_leaves_goes_round():
    """8 key heads on three cards: 2, 3 and 3 in turns, so that none has much more in the end."""
    sizes = [place.kv_cache for place in cut(LLAMA, 1, 1, 1).places[:-1]]
    assert max(sizes) - min(sizes) <= sum(sizes) // 32


def test_layers_on_the_host_stay_there():
    """Some layers only: the host has as much as with one card."""
    assert (
        cut(LLAMA, 1, 1, n_gpu_layers=10).host == cut(LLAMA, 1, mode="none", n_gpu_layers=10).host
    )


def test_what_the_engine_refuses():
    """Architectures that it does not cut, and a single key head, at which it asserts."""
    assert refusal(loaded(LLAMA).h) is None
    assert "mamba2" in refusal(loaded(MODELS["mamba2-2.7b-q8_0"]).h)
    one = LLAMA.replace(parameters=LLAMA.parameters | {"llama.attention.head_count_kv": 1})
    assert "single key head" in refusal(loaded(one).h)
