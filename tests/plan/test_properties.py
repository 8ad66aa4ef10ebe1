"""What holds for every plan."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.compiler import compile_spec
from llmdecl.memory.allocations import allocations
from llmdecl.memory.hparams import shape_of
from llmdecl.memory.model import ON_CPU
from llmdecl.memory.parameters import run_parameters
from llmdecl.plan.model import Plan
from llmdecl.spec.schema import Spec
from llmdecl.values import from_json, to_json
from tests.test_golden import CASES, GOLDEN, read_case

GOOD = [case for case in CASES if (case / "expected/plan.json").exists()]
EVERYTHING = read_case(GOLDEN / "everything")


def shuffled(value, randomness):
    if isinstance(value, dict):
        keys = list(value)
        randomness.shuffle(keys)
        return {key: shuffled(value[key], randomness) for key in keys}
    return value


def spec_with(change):
    """The spec `everything` after `change` of its tree."""
    tree = json.loads(EVERYTHING[0].model_dump_json(by_alias=True, exclude_unset=True))
    tree["host"] |= {"ram": "64GiB", "ram-margin": "2GiB"}
    tree["models"]["big"] |= {"cache-ram": "512MiB", "start-timeout": "300s"}
    tree["models"]["stretched"]["ttl"] = 0
    tree["router"]["drain-timeout"] = "90s"
    change(tree)
    return Spec.model_validate_json(json.dumps(tree))


def digests(spec):
    plan = compile_spec(spec, *EVERYTHING[1:]).plan
    assert plan is not None
    return {model.name: model.digest for model in plan.models}


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_table_order_changes_nothing(seed):
    """The same tables in any order are the same bytes."""
    randomness = random.Random(seed)

    def shuffle(tree):
        again = shuffled(tree, randomness)
        tree.clear()
        tree.update(again)

    before = compile_spec(spec_with(lambda _: None), *EVERYTHING[1:])
    after = compile_spec(spec_with(shuffle), *EVERYTHING[1:])
    assert to_json(before) == to_json(after)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_plan_survives_json(case):
    """A plan read back is the plan that was written."""
    plan = compile_spec(*read_case(case)).plan
    assert from_json(to_json(plan), Plan) == plan


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_every_setting_has_a_reason_and_no_path_a_root(case):
    """Each flag says which key decides it and why; no plan holds a path of some machine."""
    plan = compile_spec(*read_case(case)).plan
    for model in plan.models:
        for setting in model.settings:
            assert setting.address.startswith(("models", "defaults"))
            assert setting.reason
            assert all(w.root is not None or not w.text.startswith("/") for w in setting.values)
        assert len({s.flag for s in model.settings if s.flag != "--lora-scaled"}) == len(
            [s for s in model.settings if s.flag != "--lora-scaled"]
        )


ROUTER_ONLY = {
    "aliases": ["other"],
    "ttl": "5m",
    "load": "demand",
    "sampling": {"temperature": 1.0},
    "system-prompt": "Be long.",
    "start-timeout": "10m",
}


@pytest.mark.parametrize("key", ROUTER_ONLY)
def test_what_the_router_owns_changes_no_digest(key):
    """An edit of it restarts no process."""
    before = digests(spec_with(lambda _: None))
    after = digests(spec_with(lambda tree: tree["models"]["big"].update({key: ROUTER_ONLY[key]})))
    assert before == after


PROCESS = {
    "ctx-size": 4096,
    "parallel": 2,
    "cache-type-k": "f16",
    "environment": {"TZ": "UTC"},
    "extra-args": ["--prio", "1"],
    "threads": 3,
}


@pytest.mark.parametrize("key", PROCESS)
def test_what_the_process_reads_changes_its_digest_alone(key):
    """An edit of one model's settings restarts that model and no other."""
    before = digests(spec_with(lambda _: None))
    after = digests(spec_with(lambda tree: tree["models"]["big"].update({key: PROCESS[key]})))
    assert {name for name in before if before[name] != after[name]} == {"big"}


GEMMA = read_case(GOLDEN / "quickstart")[2].weights["file:models/gemma-3-270m-q4_k_m.gguf"].gguf


def kv(ctx_size, parallel=1, **changes):
    run = run_parameters(
        shape_of(GEMMA),
        ctx_size=ctx_size,
        parallel=parallel,
        kv_unified=False,
        batch_size=2048,
        ubatch_size=512,
        type_k="f16",
        type_v="f16",
        flash_attn=True,
        swa_full=False,
        embedding=False,
        mapped=True,
        repack=True,
        cache_ram_bytes=0,
        ctx_checkpoints=0,
    )
    return allocations(GEMMA, run.replace(**changes), ON_CPU, ()).host.kv_cache


@given(st.integers(1, 65536), st.integers(0, 65536), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_cache_grows_with_the_context(ctx_size, more, parallel):
    """More context or a wider type is never less cache, also with sliding windows."""
    small = kv(ctx_size * parallel, parallel)
    assert small <= kv((ctx_size + more) * parallel, parallel)
    assert kv(ctx_size, type_k="q8_0") <= kv(ctx_size) <= kv(ctx_size, type_k="f32")
    assert kv(ctx_size) <= kv(ctx_size, swa_full=True)


def offered(help_text):
    """`ctx-size = 4096` with `cache-type-k = "q8_0"` and so on, as keys of the model's table."""
    return {
        key.replace("-", "_"): json.loads(value)
        for key, value in re.findall(r"`([a-z-]+) = ([^`]+)`", help_text)
    }


@pytest.mark.parametrize("name", ["too-large", "device-too-small", "residents-too-large"])
def test_help_fits(name):
    """Every change that the help offers mends the problem that offers it."""
    spec, facts, lock = read_case(GOLDEN / name)
    problems = [p for p in compile_spec(spec, facts, lock).diagnostics if p.help]
    assert problems
    for problem in problems:
        for text in problem.help:
            of = re.match(r"for `([^`]+)`: ", text)
            model = of[1] if of else problem.address.split(".")[1]
            changed = spec.models[model].model_copy(update=offered(text))
            models = {**spec.models, model: changed}
            again = compile_spec(spec.model_copy(update={"models": models}), facts, lock)
            codes = [p.code for p in again.diagnostics]
            assert codes.count(problem.code) < [p.code for p in problems].count(problem.code), text


def test_help_is_the_most_that_fits():
    """The context that is offered is the largest: 256 tokens more do not fit."""
    spec, facts, lock = read_case(GOLDEN / "too-large")
    (problem,) = compile_spec(spec, facts, lock).diagnostics
    (text,) = [t for t in problem.help if t.startswith("`ctx-size")]
    size = offered(text)["ctx_size"]

    def with_ctx(ctx_size):
        model = spec.models["llama"].model_copy(update={"ctx_size": ctx_size})
        return compile_spec(spec.model_copy(update={"models": {"llama": model}}), facts, lock)

    assert with_ctx(size).plan is not None
    assert with_ctx(size + 256).plan is None
