"""What holds for every estimate: monotone where llama.cpp is, whole, and safe with any header.

llama.cpp itself is not monotone everywhere. Its allocator takes the best fit among freed blocks, so
that a larger graph may leave fewer gaps: with layers on both sides (weights streamed to a device
through one work buffer) a buffer has been seen to need 13 MiB less for 256 tokens more. And a
quantized cache needs work buffers that an f16 one does not: copies of keys and values behind flash
attention, rotations. Estimates are llama.cpp's own numbers, and follow it there.
"""

import json
import random
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.cli import estimating, run
from llmdecl.engines.llama_cpp.command_line import parameters_of, placement_of, read_arguments
from llmdecl.memory.allocations import allocations, layer_bytes, loaded
from llmdecl.memory.companions import lora_bytes, projector_bytes
from llmdecl.memory.estimate import model_parts, process_parts, total_bytes
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import Device
from tests.memory.test_allocations import MODELS

NAMES = st.sampled_from(sorted(MODELS))
BACKENDS = st.lists(st.sampled_from(["cuda", "vulkan", "rpc"]), max_size=2)
FLASH = st.sampled_from(["on", "off", "auto"])
STREAMING_BOUND = 0.25
"""The largest share of a work buffer that a larger question may need less."""


def devices(backends):
    return [
        Device(id=f"gpu{n}", backend=backend, free_bytes=(24 - 8 * n) << 30)
        for n, backend in enumerate(backends)
    ]


def asked(gguf, backends, *flags):
    """`llmdecl estimate FILE -- FLAGS` without a file."""
    arguments = read_arguments([str(flag) for flag in flags])
    placement = placement_of(arguments, devices(backends))
    parameters = parameters_of(arguments, shape_of(gguf))
    return parameters, placement, allocations(gguf, parameters, placement, ("avx2",))


def places(name, backends, *flags):
    return asked(MODELS[name], backends, *flags)[2].places


@given(NAMES, BACKENDS, FLASH, st.integers(1, 4), st.integers(256, 16384), st.integers(0, 16384))
@settings(max_examples=60, deadline=None)
def test_more_context_is_never_less(name, backends, flash, slots, context, more):
    """Whole on devices or on the CPU: every pool's total, and caches, states and results alone."""
    flags = ("-ngl", 999, "-fa", flash, "-np", slots, "-c")
    small, large = (places(name, backends, *flags, c) for c in (context, context + more))
    for one, two in zip(small, large, strict=True):
        assert one.total <= two.total
        assert (one.kv_cache, one.recurrent, one.output) <= (
            two.kv_cache,
            two.recurrent,
            two.output,
        )
        assert one.weights == two.weights


@given(NAMES, BACKENDS, FLASH, st.integers(1, 4), st.integers(1, 4), st.integers(256, 8192))
@settings(max_examples=60, deadline=None)
def test_more_slots_are_never_less(name, backends, flash, slots, more, context):
    """With the same context for each, whole on devices or on the CPU.

    But for what a batch is rounded up by: llama.cpp reserves a multiple of the slots, 513 tokens
    for three and 512 for four (src/llama-context.cpp:629).
    """
    small, large = (
        asked(MODELS[name], backends, "-ngl", 999, "-fa", flash, "-np", n, "-c", n * context)
        for n in (slots, slots + more)
    )
    rounded = max(0, small[0].n_tokens / large[0].n_tokens - 1)
    for one, two in zip(small[2].places, large[2].places, strict=True):
        # twice: scores grow with the square of a batch
        assert one.total <= two.total + 2 * rounded * one.compute
        assert one.kv_cache <= two.kv_cache
        assert one.recurrent <= two.recurrent
        assert one.output < two.output or two.output == 0


@given(NAMES, BACKENDS, st.integers(1, 40), st.integers(1, 4), st.integers(256, 16384))
@settings(max_examples=40, deadline=None)
def test_layers_on_both_sides(name, backends, layers, slots, context):
    """There all but the work buffers is monotone, and those fall by gaps that closed at most."""
    flags = ("-ngl", layers, "-np", slots, "-c")
    small, large = (places(name, backends, *flags, c) for c in (context, context + 1024))
    for one, two in zip(small, large, strict=True):
        held = one.kv_cache + one.recurrent + one.output
        assert held <= two.kv_cache + two.recurrent + two.output
        assert two.compute >= (1 - STREAMING_BOUND) * one.compute


CACHE_TYPES = ("q4_0", "iq4_nl", "q4_1", "q5_0", "q5_1", "q8_0", "f16", "f32")


@given(NAMES, BACKENDS, st.integers(256, 16384), st.data())
@settings(max_examples=60, deadline=None)
def test_larger_cache_types_are_never_less_cache(name, backends, context, data):
    """Bytes of keys and values rise with the bits of their types, on every device."""
    first, second = sorted(data.draw(st.lists(st.integers(0, 7), min_size=2, max_size=2)))
    flags = ("-ngl", 999, "-fa", "on", "-c", context, "-ctk")
    sizes = [
        [place.kv_cache for place in places(name, backends, *flags, kind, "-ctv", kind)]
        for kind in (CACHE_TYPES[first], CACHE_TYPES[second])
    ]
    assert all(one <= two for one, two in zip(*sizes, strict=True))


@given(NAMES, BACKENDS, st.integers(0, 60), st.integers(1, 4), st.integers(256, 16384))
@settings(max_examples=60, deadline=None)
def test_parts_are_the_whole(name, backends, layers, slots, context):
    """Of every place the fields, and of every pool the ledger's parts, add up to its total; what
    has no device is on the host; devices keep the order of `--device`."""
    gguf = MODELS[name]
    flags = ("-ngl", layers, "-np", slots, "-c", context)
    parameters, placement, found = asked(gguf, backends, *flags)
    assert [place.place for place in found.places] == [
        *(device.id for device in placement.devices),
        "host",
    ]
    parts = model_parts(gguf, "d", parameters.replace(mapped=False), ("avx2",), placement=placement)
    for place in found.places:
        mine = [part for part in parts if part.pool == place.place]
        held = place.total + place.output_growth + place.fusions
        assert held == sum(part.bytes for part in mine)
        assert total_bytes(mine, place.place) == sum(part.bytes for part in mine)
        assert all(part.bytes > 0 for part in mine)
    weights = sum(place.weights + place.repacked for place in found.places)
    least = sum(layer_bytes(gguf, parameters, kv_offload=False).layers)
    assert weights >= least


@given(NAMES, st.integers(0, 60), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_order_of_tables_changes_nothing(name, layers, randomness):
    """Tensors and keys of a header in another order are the same model."""
    gguf = MODELS[name]
    tensors, keys = list(gguf.tensors), list(gguf.parameters)
    randomness.shuffle(tensors)
    randomness.shuffle(keys)
    again = gguf.replace(
        tensors=tuple(tensors), parameters={key: gguf.parameters[key] for key in keys}
    )
    flags = ("-ngl", layers, "-c", 4096)
    assert asked(again, ["cuda"], *flags)[2] == asked(gguf, ["cuda"], *flags)[2]


@given(NAMES, st.integers(1, 60), st.permutations(range(3)))
@settings(max_examples=30, deadline=None)
def test_names_of_devices_change_nothing(name, layers, order):
    """Only their order does: the first gets the first layers, whatever it is called."""
    backends = ["cuda", "cuda", "cuda"]
    arguments = read_arguments(["-ngl", str(layers), "-c", "4096", "-ts", "1,1,1"])
    parameters = parameters_of(arguments, shape_of(MODELS[name]))
    named = devices(backends)
    found = []
    for ids in (range(3), order):
        placement = placement_of(arguments, [named[n] for n in ids])
        answer = allocations(MODELS[name], parameters, placement, ())
        assert [place.place for place in answer.places[:-1]] == [named[n].id for n in ids]
        found.append([(place.total, place.weights) for place in answer.places])
    assert found[0] == found[1]


# headers that lie


NUMBERS = (
    0, 1, -1, 2, 3, 7, 255, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 63) - 1, -(1 << 63), 1e30,
    float("inf"), float("nan"), 0.5, True, "x", (), (1,), (0, 1 << 40),
)  # fmt: skip
SIZES = (0, 1, 2, 31, 1 << 31, 1 << 62)
COMMANDS = (
    ("-c", "4096"),
    ("-ngl", "99", "-c", "4096"),
    ("-ngl", "3", "-c", "4096", "-fa", "off"),
    ("-ngl", "99", "-c", "0", "-np", "2"),
    ("-ngl", "99", "-c", "4096", "--embedding"),
    ("-ngl", "99", "-c", "4096", "--cpu-moe"),
)


def mutated(randomness):
    """A real header with a few of its numbers, arrays and tensors changed or gone."""
    gguf = MODELS[randomness.choice(sorted(MODELS))]
    keys = dict(gguf.parameters)
    own = sorted(key for key in keys if key.startswith(f"{gguf.architecture}."))
    for key in randomness.sample(own, randomness.randint(1, 3)):
        if randomness.random() < 0.25:
            del keys[key]
        else:
            keys[key] = randomness.choice(NUMBERS)
    tensors = list(gguf.tensors)
    for _ in range(randomness.choice((0, 0, 1, 3))):
        number = randomness.randrange(len(tensors))
        tensor = tensors.pop(number)
        if randomness.random() < 0.7:
            shape = [randomness.choice((n, n, randomness.choice(SIZES))) for n in tensor.shape]
            kind = randomness.choice((tensor.type, "Q4_K", "NEWER"))
            cut = tuple(shape[: randomness.choice((0, 1, 4, 4, 4))])
            tensors.append(tensor.replace(shape=cut, type=kind))
    return gguf.replace(parameters=keys, tensors=tuple(tensors))


@pytest.fixture
def deadline():
    """Fails what hangs: a header is worked out in seconds or refused."""

    def late(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    yield lambda: signal.alarm(20)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seed", range(8))
def test_no_header_is_raised(seed, deadline):
    """Whatever a header says, the memory room answers, with finite numbers and no more lists than
    a model of 512 blocks needs; a header that is impossible has a flaw and takes nothing."""
    randomness = random.Random(seed)
    for _ in range(50):
        deadline()
        gguf = mutated(randomness)
        backends = ["cuda"] * randomness.randint(0, 2)
        parameters, placement, found = asked(gguf, backends, *randomness.choice(COMMANDS))
        process_parts(gguf, parameters, placement)
        layers = layer_bytes(gguf, parameters)
        lora_bytes(gguf, placement)
        projector_bytes(gguf)
        assert len(layers.layers) == loaded(gguf).h.n_layer_all + 1 <= 513
        if loaded(gguf).flaw is not None:
            assert sum(place.weights + place.kv_cache for place in found.places) == 0


IMPOSSIBLE = {
    "blocks": {"llama.block_count": 1 << 31},
    "negative": {"llama.block_count": -1},
    "none": {"llama.block_count": 0},
    "experts": {"llama.expert_used_count": 1 << 20},
    "wide": {"llama.embedding_length": 1 << 62},
    "no width": {"llama.embedding_length": 0},
}


@pytest.mark.parametrize("changes", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize("verb", ["estimate", "fit"])
def test_impossible_headers_are_said(monkeypatch, tmp_path, capsys, verb, changes):
    """`estimate` and `fit` end with status 1 and one diagnostic, without a size."""
    from llmdecl.cli import fitting

    gguf = MODELS["llama-3.1-8b-q4_k_m"]
    gguf = gguf.replace(parameters={**gguf.parameters, **changes})
    for module in (estimating, fitting):
        monkeypatch.setattr(module, "read_gguf", lambda *_, **__: (gguf, ()))
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    words = ["--ram", "64GiB", "--device", "gpu0:cuda:24GiB", "--cache-dir", str(tmp_path)]
    assert run([verb, str(path), "--json", *(words if verb == "fit" else words[2:4])]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in report["diagnostics"]] == ["LD365"]
    assert not report.get("models")
    assert "host" not in report


@pytest.mark.parametrize("seed", range(4))
def test_lying_headers_on_the_command_line(monkeypatch, tmp_path, capsys, deadline, seed):
    """`estimate` and `fit` of such a header print sizes, or a diagnostic and status 1."""
    from llmdecl.cli import fitting

    randomness = random.Random(1000 + seed)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF")
    for _ in range(8):
        gguf = mutated(randomness)
        for module in (estimating, fitting):
            monkeypatch.setattr(module, "read_gguf", lambda *_, g=gguf, **__: (g, ()))
        for words in (
            ["estimate", str(path), "--json", "--device", "gpu0:cuda:8GiB", "--", "-c", "4096"],
            ["fit", str(path), "--json", "--device", "gpu0:cuda:8GiB", "--ram", "32GiB"],
        ):
            deadline()
            status = run(words)
            report = json.loads(capsys.readouterr().out)
            errors = [p for p in report["diagnostics"] if p["severity"] == "error"]
            assert status == bool(errors)
            assert errors or report.get("models") or "host" in report
