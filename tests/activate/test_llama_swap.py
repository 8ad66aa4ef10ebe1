"""Apply with llama-swap in the router's place: a real supervisord, a fake llama-swap and models."""

import sys
from pathlib import Path

import pytest

from llmdecl.activate.apply import down
from llmdecl.activate.survey import survey
from llmdecl.diagnostics import Failure
from llmdecl.plan.model import Budget, RouterPlan
from llmdecl.plan.residency import residency, tenants

from .conftest import free_port, model, setting, stack_plan

FAKE = Path(__file__).resolve().parent.parent / "fakes" / "fake_llama_swap.py"
MEBIBYTE = 1 << 20


@pytest.fixture
def program(machine):
    """An executable that is the fake llama-swap."""
    path = machine.folder / "llama-swap"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    path.chmod(0o755)
    return str(path)


PORTS = {name: free_port() for name in ("smol", "gemma")}


def swapped(name, **options):
    """A model on its port."""
    made = model(name, **options)
    settings = []
    for each in made.settings:
        if each.flag == "--host":
            settings.append(setting("--host", "127.0.0.1", address=each.address))
            settings.append(setting("--port", PORTS[name], address=each.address))
        else:
            settings.append(each)
    digest = made.digest[::-1]
    return made.replace(settings=tuple(settings), port=PORTS[name], digest=digest)


def plan_of(program, *models, budget=4096, **router):
    limits = RouterPlan(
        kind="llama-swap",
        path=program,
        drain_timeout_s=2.0,
        queue_timeout_s=5.0,
        queue_size=8,
        min_residency_s=0.0,
    )
    budgets = (Budget(pool="host", total_bytes=budget * MEBIBYTE, margin_bytes=0),)
    plan = stack_plan(*models, router=limits.replace(**router), budgets=budgets)
    found = residency(tenants(plan.models), {b.pool: b.bytes for b in budgets})
    return plan.replace(residency=found)


def states(machine):
    return {m.name: m.state for m in survey(machine.hands()).models}


def test_apply_and_then_nothing_is_left_to_do(machine, program):
    """llama-swap runs under supervisord in place of our router, what is loaded at start answers,
    and a second plan is empty."""
    plan = plan_of(program, swapped("smol", load="startup"), swapped("gemma"))
    machine.apply(plan)
    assert not machine.diff(plan)
    assert states(machine) == {"smol": "ready", "gemma": "stopped"}
    assert {"supervisord", "smol"} <= set(machine.pids())


def test_verbs(machine, program):
    """Start, stop and restart ask llama-swap; what does not fit beside is evicted by its sets."""
    machine.apply(plan_of(program, swapped("smol"), swapped("gemma"), budget=150))
    machine.start("smol")
    assert states(machine) == {"smol": "ready", "gemma": "stopped"}
    machine.start("gemma")
    assert states(machine) == {"smol": "stopped", "gemma": "ready"}
    router = machine.hands().router
    before = machine.pid("gemma")
    assert router.restart("gemma", timeout_s=20).ok
    assert machine.pid("gemma") not in {None, before}
    assert router.stop("gemma", timeout_s=20).ok
    assert machine.pid("gemma") is None
    assert not router.start("nobody", timeout_s=20).ok


def test_an_edit_restarts_it_and_says_so(machine, program):
    """Any change stops what runs, the plan says which; afterwards the new configuration runs."""
    machine.apply(plan_of(program, swapped("smol"), swapped("gemma")))
    machine.start("smol")
    before = machine.pid("smol")
    plan = plan_of(program, swapped("smol"), swapped("gemma", ttl_s=5.0))
    assert machine.diff(plan).restarts == ("smol",)
    machine.apply(plan)
    assert not machine.diff(plan)
    assert machine.pid("smol") != before


def test_to_llama_swap_and_back(machine, program):
    """Another kind of router: everything of the one before is gone, and nothing is an orphan."""
    ours = stack_plan(model("smol", load="startup"), model("gemma"))
    theirs = plan_of(program, swapped("smol", load="startup"), swapped("gemma"))
    machine.apply(ours)
    first = machine.pids()
    machine.apply(theirs)
    assert not machine.diff(theirs)
    assert machine.pid("smol") != first["smol"]
    assert states(machine)["smol"] == "ready"
    machine.apply(ours)
    assert not machine.diff(ours)
    assert set(machine.pids()) == {"supervisord", "router", "smol"}


def test_a_model_that_does_not_start(machine, program):
    """The gate fails and the stack before is in force again."""
    good = plan_of(program, swapped("smol", load="startup"))
    machine.apply(good)
    bad = swapped("gemma", load="startup", args=[("--fake-exit", "3")])
    with pytest.raises(Failure):
        machine.apply(plan_of(program, swapped("smol", load="startup"), bad))
    assert not machine.diff(good)
    assert states(machine) == {"smol": "ready"}


def test_down(machine, program):
    """Nothing is left, its models included."""
    machine.apply(plan_of(program, swapped("smol", load="startup")))
    down(machine.hands())
    assert machine.pids() == {}


def test_what_cannot_be_run(machine, program):
    """No path, no program, or a key that it would need: a diagnostic before anything is changed."""
    keyed = plan_of(program, swapped("smol"))
    keyed = keyed.replace(
        endpoints=tuple(e.replace(api_keys_file="/run/keys") for e in keyed.endpoints)
    )
    for plan in (
        plan_of(None, swapped("smol")),
        plan_of("/nowhere/llama-swap", swapped("smol")),
        keyed,
    ):
        with pytest.raises(Failure) as failure:
            machine.apply(plan)
        assert [d.code for d in failure.value.diagnostics] == ["LD627"]
    assert machine.pids() == {}
