"""Margins of a host, and plans of headers that lie."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.compiler import compile_spec
from llmdecl.memory.estimate import total_bytes
from tests.memory.test_properties import deadline, mutated
from tests.plan.test_placed import DEEPSEEK, FACTS, GEMMA, LLAMA, LOCK, NOMIC, stack

__all__ = ["deadline"]

MODELS = st.fixed_dictionaries(
    {
        "source": st.sampled_from([LLAMA, GEMMA, DEEPSEEK, NOMIC]),
        "ctx-size": st.sampled_from([512, 2048]),
        "parallel": st.integers(1, 3),
        "ttl": st.sampled_from(["5m", "never"]),
        "load": st.sampled_from(["demand", "startup"]),
        "cache-type-k": st.sampled_from(["f16", "q8_0"]),
    }
)
DEVICES = st.lists(st.sampled_from([1500, 4096, 8192, 12288]), min_size=0, max_size=3)
MARGINS = st.sampled_from([0, 256 << 20, 1 << 30, 3 << 30])


@given(st.lists(MODELS, min_size=1, max_size=4), DEVICES, MARGINS, MARGINS)
@settings(max_examples=40, deadline=None)
def test_no_plan_crosses_a_margin(models, devices, ram, vram):
    """Whatever margins are declared: every set that residency allows, the residents together and
    each model beside those that stay leave them free in every pool."""
    models = {
        f"m{n}": {**model, "task": "embedding" if model["source"] == NOMIC else "completion"}
        for n, model in enumerate(models)
    }
    for model in models.values():
        if model["source"] == DEEPSEEK:
            model["cache-type-k"] = "f16"
    spec = stack(models, devices)
    margins = {"ram": 24 << 30, "ram_margin": ram, "vram_margin": vram}
    spec = spec.model_copy(update={"host": spec.host.model_copy(update=margins)})
    plan = compile_spec(spec, FACTS, LOCK).plan
    if plan is None:
        return
    named = {model.name: model for model in plan.models}
    permanent = plan.residency.permanent
    sets = [{*permanent, *chosen} for group in plan.residency.groups for chosen in group.sets]
    never = {name for name, model in named.items() if model.ttl_s is None}
    late = plan.residency.without_startup
    sets += [{*never, *chosen} for chosen in (late.sets if late else ())]
    sets += [{*permanent}, *({name, *never} for name in named)]
    for chosen in sets:
        parts = [part for name in chosen for part in named[name].memory]
        for budget in plan.budgets:
            used = total_bytes(parts, budget.pool)
            assert used <= max(0, budget.total_bytes - budget.margin_bytes)


@pytest.mark.parametrize("seed", range(6))
def test_headers_that_lie_have_no_traceback(deadline, seed):
    """A lock with such a header is a plan or diagnostics, in seconds."""
    randomness = random.Random(seed)
    for _ in range(10):
        gguf = mutated(randomness)
        weights = LOCK.weights[LLAMA].replace(gguf=gguf)
        lock = LOCK.replace(weights={**LOCK.weights, LLAMA: weights})
        more = randomness.choice(
            ({}, {"cpu-moe": True}, {"n-gpu-layers": 7}, {"ctx-size": "native"})
        )
        model = {"source": LLAMA, **more}
        deadline()
        found = compile_spec(stack({"m": model}, [4096, 2048]), FACTS, lock)
        assert (found.plan is None) == any(p.severity == "error" for p in found.diagnostics)
