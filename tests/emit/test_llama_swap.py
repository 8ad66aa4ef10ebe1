"""llama-swap's configuration, read back by an independent reader: commands, ports, sets, losses."""

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.compiler import compile_spec
from llmdecl.emit.dialects.supervisord import ROOTS as SUPERVISORD_ROOTS
from llmdecl.emit.llama_swap import emit, evict_cost
from llmdecl.emit.matrix import variables
from llmdecl.emit.table import emit_plan
from llmdecl.memory.model import MemoryPart
from llmdecl.plan.model import Address, Budget, PlacementPlan
from llmdecl.plan.residency import residency, tenants
from llmdecl.spec.ports import FIRST_PORT, PORTS, model_ports
from llmdecl.spec.schema import Spec
from tests.emit.llama_swap_reader import argv, expand, load
from tests.plan.test_residency import brute_force, brute_force_without_startup, maximal
from tests.test_golden import GOLDEN, read_case

PLAN = compile_spec(*read_case(GOLDEN / "llama-swap")).plan
ENVIRONMENT = {"LLMDECL_STORE": "/srv/a store", "LLMDECL_STACK": "s1", "LLMDECL_API_KEY": "k"}


def read(plan, environment=None):
    (artefact,) = emit(plan)
    return load(artefact.text, environment or ENVIRONMENT)


def matrix(plan):
    routing = read(plan)["routing"]["router"]
    assert routing["use"] == "matrix"
    return routing["settings"]["matrix"]


def codes(plan):
    return sorted(d.code for d in emit_plan(plan)[1])


def test_commands_are_the_plan():
    """A clean environment with marks and the model's own variables, then the plan's argv."""
    config = read(PLAN)
    for model in PLAN.models:
        words = argv(config["models"][model.name]["cmd"])
        assert words[:3] == ["/usr/bin/env", "-i", "LLMDECL_STACK=s1"]
        marks, rest = words[3:], []
        while "=" not in (marks[-1]) or not marks[-1].startswith(("LANG", "PATH", "LLMDECL", "G")):
            rest.insert(0, marks.pop())
        assert marks == [
            f"LLMDECL_MODEL={model.name}",
            f"LLMDECL_DIGEST={model.digest}",
            "PATH=/usr/bin:/bin",
            "LANG=C.UTF-8",
            *(f"{k}={v}" for k, v in model.environment),
        ]
        store = ENVIRONMENT["LLMDECL_STORE"]
        assert rest == [(store if word.root else "") + word.text for word in model.argv()]


def test_ports_are_written_out():
    """`--port` and `proxy` agree, on loopback, and no `${PORT}` hands numbers out by order."""
    config = read(PLAN)
    assert "PORT}" not in emit(PLAN)[0].text
    for model in PLAN.models:
        words = argv(config["models"][model.name]["cmd"])
        assert words[words.index("--host") + 1] == "127.0.0.1"
        assert words[words.index("--port") + 1] == str(model.port)
        assert config["models"][model.name]["proxy"] == f"http://127.0.0.1:{model.port}"


def test_what_is_closed():
    """Prompts are not kept, and the key is named, not written."""
    config = read(PLAN)
    assert config["captureBuffer"] == 0
    assert "${env.LLMDECL_API_KEY}" in emit(PLAN)[0].text
    with pytest.raises(ValueError, match="LLMDECL_API_KEY"):
        read(PLAN, {k: v for k, v in ENVIRONMENT.items() if k != "LLMDECL_API_KEY"})


def test_how_models_live():
    """Idle times in whole seconds, 0 for never; what is loaded at start; the longest start."""
    config = read(PLAN)
    assert {n: m["ttl"] for n, m in config["models"].items()} == {
        "chat": 900,
        "code": 90,
        "embed": 0,
        "long_context": 900,
        "tiny-2": 1,
    }
    assert config["hooks"] == {"on_startup": {"preload": ["embed"]}}
    assert config["healthCheckTimeout"] == 109
    assert config["models"]["chat"]["aliases"] == ["gpt-4o-mini", "llama3.1:8b"]
    params = {"temperature": 0.2, "top_p": 0.9, "seed": 7}
    assert config["models"]["chat"]["filters"] == {"setParams": params}


def test_losses():
    """One warning for each thing that llama-swap cannot do; none for what is not asked for."""
    assert codes(PLAN) == [
        *("LD510", "LD511", "LD512", "LD513", "LD514", "LD515", "LD516", "LD517", "LD517"),
        *("LD518", "LD519", "LD520", "LD521", "LD522"),
    ]
    plain = PLAN.replace(
        models=tuple(
            m.replace(sampling=(), system_prompt=None, ttl_s=60.0, start_timeout_s=60.0)
            for m in PLAN.models
        ),
        endpoints=(PLAN.endpoints[0].replace(api_keys_file=None),),
        router=PLAN.router.replace(min_residency_s=0.0),
    )
    assert codes(plain) == ["LD514", "LD516", "LD519", "LD520", "LD521", "LD522"]
    assert all("cannot express: " in d.summary for d in emit_plan(PLAN)[1])


def test_our_own_router_loses_nothing():
    plan = PLAN.replace(router=PLAN.router.replace(kind="llmdecl"))
    assert codes(plan) == []


def test_only_unix_sockets():
    """Nobody could reach it, so there is no artefact."""
    door = PLAN.endpoints[0].replace(listen=Address(path="/run/x.sock"))
    artefacts, problems = emit_plan(PLAN.replace(endpoints=(door,)))
    assert artefacts == ()
    assert "LD502" in {d.code for d in problems}


def test_a_macro_in_an_alias():
    """It has no form in llama-swap's language, so it is refused; in an argument it has one."""
    first = PLAN.models[0].replace(aliases=("${PORT}",), environment=(("A", "${PORT}"),))
    artefacts, problems = emit_plan(PLAN.replace(models=(first, *PLAN.models[1:])))
    assert artefacts == ()
    assert [d.address for d in problems if d.code == "LD501"] == ["models.chat.aliases"]


def test_supervisord_runs_it_when_its_path_is_known():
    """One program, in the router's place, that is started anew with another configuration."""

    def command(plan):
        texts = {a.path: a.text for a in emit_plan(plan)[0]}
        assert "router.json" not in texts
        assert not any(path.startswith("supervisord/models/") for path in texts)
        line = next(x for x in texts["supervisord/router.conf"].split("\n") if "command" in x)
        return shlex.split(line.partition("=")[2])

    words = command(PLAN)
    state = next(root for root in SUPERVISORD_ROOTS.values() if "STATE" in root)
    assert words[2:] == [
        "/usr/local/bin/llama-swap",
        *("-config", f"{state}/wanted/llama-swap.yaml"),
        *("-listen", "127.0.0.1:11434"),
    ]
    edited = PLAN.replace(models=(PLAN.models[0].replace(ttl_s=7.0), *PLAN.models[1:]))
    assert command(edited)[1] != words[1]
    unknown = PLAN.replace(router=PLAN.router.replace(path=None))
    assert [a.path for a in emit_plan(unknown)[0]] == ["llama-swap.yaml"]


# --- sets


def allowed(plan):
    """Maximal sets of models that llama-swap would let run together."""
    return maximal(set().union(*expand(matrix(plan)).values()))


@st.composite
def plans(draw):
    """The models of the golden case, on random memory."""
    names = ["a", "a_1", "b.c", "d" * 40, "e", "with-dash"]
    budgets = tuple(
        Budget(pool=pool, total_bytes=draw(st.integers(5, 30)), margin_bytes=0)
        for pool in ("host", "gpu0", "gpu1")
    )
    models = []
    for name in names[: draw(st.integers(1, 6))]:
        pools = draw(st.dictionaries(st.sampled_from(["gpu0", "gpu1"]), st.integers(1, 5)))
        memory = [MemoryPart(pool=p, part="weights", bytes=b, exact=True) for p, b in pools.items()]
        memory.append(
            MemoryPart(
                pool="host",
                part="weights",
                bytes=draw(st.integers(1, 5)),
                exact=True,
                shared=draw(st.sampled_from([None, "file"])),
            )
        )
        models.append(
            PLAN.models[0].replace(
                name=name,
                aliases=(),
                memory=tuple(memory),
                placement=PlacementPlan(devices=tuple(sorted(pools))),
                alone=draw(st.integers(0, 5)) == 0,
                load=draw(st.sampled_from(["demand"] * 5 + ["startup"])),
                ttl_s=draw(st.sampled_from([60.0] * 5 + [None])),
            )
        )
    found = residency(tenants(models), {b.pool: b.bytes for b in budgets})
    return PLAN.replace(models=tuple(models), budgets=budgets, residency=found)


@settings(max_examples=300, deadline=None)
@given(plans())
def test_sets_are_the_ledger(plan):
    """What the sets allow, read by an independent parser, is exactly what brute force over the
    ledger allows: each model and each fitting set is allowed, and nothing else."""
    budgets = {b.pool: b.bytes for b in plan.budgets}
    everyone = list(tenants(plan.models))
    possible = brute_force(everyone, budgets)
    late = brute_force_without_startup(everyone, budgets)
    if not possible or set().union(*possible, *late) != {m.name for m in plan.models}:
        return  # the plan's checks refuse it: residents do not fit, or someone never does
    assert allowed(plan) == maximal(possible | late)
    for choices in expand(matrix(plan)).values():
        never = {m.name for m in plan.models if m.ttl_s is None}
        assert all(never <= choice for choice in choices)


def test_sixty_models_that_cannot_all_be_listed():
    """Every set fits and every pair that fits is allowed; the file stays small."""
    budget = Budget(pool="host", total_bytes=40, margin_bytes=0)
    models = tuple(
        PLAN.models[0].replace(
            name=f"m{i:02}",
            memory=(MemoryPart(pool="host", part="w", bytes=1 + i % 7, exact=True),),
            placement=PlacementPlan(),
        )
        for i in range(60)
    )
    plan = PLAN.replace(
        models=models, budgets=(budget,), residency=residency(tenants(models), {"host": 40})
    )
    found = allowed(plan)
    size = {m.name: m.memory[0].bytes for m in models}
    assert all(sum(size[name] for name in names) <= 40 for names in found)
    for one in size:
        for two in size:
            assert any({one, two} <= names for names in found)
    assert "some of many sets" in next(d.summary for d in emit_plan(plan)[1] if d.code == "LD519")


def test_costs_are_seconds_to_load():
    """Ten times the weights, ten times the cost; never nothing."""
    costs = matrix(PLAN)["evict_costs"]
    ids = {name: var for var, name in matrix(PLAN)["vars"].items()}
    assert {name: costs[var] for name, var in ids.items()} == {
        m.name: evict_cost(m) for m in PLAN.models
    }
    assert costs[ids["chat"]] == 50
    assert costs[ids["tiny-2"]] == 1


@given(st.sets(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"), max_size=30))
def test_variables(names):
    """Each model has its own, within llama-swap's limits, and it depends on no other model."""
    found = variables(names)
    assert len(set(found.values())) == len(names)
    for name, var in found.items():
        assert 1 <= len(var) <= 32
        assert all(c.isascii() and (c.isalnum() or c in ".-") for c in var)
        assert variables([name])[name] == var
        assert var == name or var not in names


# --- ports


def spec(names, kind="llama-swap", listen="127.0.0.1:20000"):
    return Spec.model_validate(
        {
            "version": 1,
            "engines": {},
            "models": {name: {"source": "file:x"} for name in names},
            "endpoints": {"main": {"listen": listen}},
            "router": {"kind": kind},
        }
    )


NAMES = st.sets(st.from_regex(r"\A[a-z0-9]{1,8}\Z"), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(NAMES, NAMES)
def test_a_locked_port_stays(before, others):
    """Whatever models come and go, those that the lock knows keep their ports, and no two share
    one, or an endpoint's."""
    locked = model_ports(spec(before), {})
    after = model_ports(spec(before | others), locked)
    assert {name: after[name] for name in before} == locked
    assert len(set(after.values())) == len(after)
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS for port in after.values())
    assert 20000 not in after.values()
    less = model_ports(spec(sorted(before)[:1]), locked)
    assert less.items() <= locked.items()


@settings(max_examples=100, deadline=None)
@given(NAMES, st.from_regex(r"\A[a-z0-9]{1,8}\Z"))
def test_without_a_lock_a_new_model_moves_nobody(names, new):
    """Unless the digests of two names meet: ports follow from names, not from their order."""
    before, after = model_ports(spec(names), {}), model_ports(spec(names | {new}), {})
    alone = {name: model_ports(spec([name]), {})[name] for name in names | {new}}
    if len(set(alone.values())) == len(alone):
        assert before == {name: after[name] for name in names}
        assert after == alone


def test_no_ports_for_our_own_router():
    """It dials private sockets."""
    assert model_ports(spec(["a"], kind="llmdecl"), {"a": 20001}) == {}


def test_an_endpoint_takes_a_locked_port():
    """The endpoint is what people wrote; the model moves."""
    assert model_ports(spec(["a"], listen="127.0.0.1:20001"), {"a": 20001})["a"] != 20001
