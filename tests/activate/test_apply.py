"""Apply against a real supervisord, the router and fake models."""

import os
import signal

import pytest

from llmdecl.activate.apply import down, rollback
from llmdecl.diagnostics import Failure

from .conftest import model, stack_plan, wait_until


def codes(failure):
    return [d.code for d in failure.value.diagnostics]


def test_apply_starts_everything_and_then_nothing_is_left_to_do(machine):
    """A first apply brings up supervisord, router and startup models; a second plan is empty."""
    plan = stack_plan(model("smol", load="startup"), model("gemma"))
    assert machine.diff(plan)
    machine.apply(plan)
    assert {"supervisord", "router", "smol"} == set(machine.pids())
    assert not machine.diff(plan)
    generations = machine.hands().generations
    assert 1 == generations.pointer("current") == generations.pointer("wanted")
    assert machine.hands().journal.read() is None


def test_an_edit_of_one_model_restarts_that_one_alone(machine):
    """A changed, running model is drained, stopped and started again; all other PIDs stay."""
    machine.apply(stack_plan(model("smol"), model("gemma")))
    machine.start("smol")
    machine.start("gemma")
    before = machine.pids()
    plan = stack_plan(model("smol"), model("gemma", ctx=8192))
    assert ("gemma",) == machine.diff(plan).restarts
    machine.apply(plan)
    after = machine.pids()
    assert after.pop("gemma") != before.pop("gemma")
    assert before == after
    assert not machine.diff(plan)


def test_a_router_edit_restarts_no_process(machine):
    """A ttl edit reloads the router; every PID stays."""
    machine.apply(stack_plan(model("smol")))
    machine.start("smol")
    before = machine.pids()
    plan = stack_plan(model("smol", ttl_s=5.0))
    assert () == machine.diff(plan).restarts
    machine.apply(plan)
    assert before == machine.pids()
    assert not machine.diff(plan)


def test_a_changed_router_program_restarts_the_router_alone(machine):
    """Another text of the router's program restarts the router; models live on."""
    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.start("smol")
    before = machine.pids()
    assert ["router"] == [c.address for c in machine.diff(plan, router_note=True).changes]
    machine.apply(plan, router_note=True)
    after = machine.pids()
    assert after.pop("router") != before.pop("router")
    assert before == after
    assert not machine.diff(plan, router_note=True)


def test_added_and_removed_models(machine):
    """A removed model's process ends and supervisord forgets it; an added one can start."""
    machine.apply(stack_plan(model("old"), model("stays")))
    machine.start("old")
    machine.start("stays")
    stays = machine.pid("stays")
    plan = stack_plan(model("new"), model("stays"))
    machine.apply(plan)
    assert {"supervisord", "router", "stays"} == set(machine.pids())
    machine.start("new")
    assert stays == machine.pid("stays")
    assert not machine.diff(plan)


def test_a_failed_gate_puts_the_earlier_generation_back(machine):
    """A model that does not start undoes the change; what ran before runs again; status 3."""
    good = stack_plan(model("smol", load="startup"), model("gemma"))
    machine.apply(good)
    machine.start("gemma")
    gemma = machine.pid("gemma")
    bad = stack_plan(model("smol", load="startup", args=[("--fake-exit", 1)]), model("gemma"))
    with pytest.raises(Failure) as failure:
        machine.apply(bad)
    assert 3 == failure.value.status
    assert ["LD608"] == codes(failure)
    assert gemma == machine.pid("gemma")
    assert machine.pid("smol")
    assert not machine.diff(good)
    assert machine.hands().generations.numbers() == (1, 2)


def test_a_first_apply_that_fails_leaves_nothing_running(machine):
    """Without an earlier generation a failed gate stops everything."""
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model(load="startup", args=[("--fake-exit", 1)])))
    assert ["LD608"] == codes(failure)
    assert {} == machine.pids()
    assert not machine.folders.run.exists()
    assert machine.hands().generations.pointer("wanted") is None
    machine.apply(stack_plan(model(load="startup")))


def test_a_model_that_does_not_answer_fails_the_gate(machine):
    """Ready is not enough: a startup model must answer a real request."""
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model(load="startup", args=[("--fake-status", 500)])))
    assert ["LD609"] == codes(failure)


def test_a_smaller_context_than_planned_fails_the_gate(machine):
    """An engine that silently gives less context than planned is found out."""
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model(load="startup", n_ctx_slot=1 << 20)))
    assert ["LD610"] == codes(failure)


def test_a_refused_configuration_is_undone(machine):
    """A router that refuses its new file keeps the old one, and so does the stack."""
    good = stack_plan(model("smol"))
    machine.apply(good)
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model("smol", ttl_s=1.0)), refuse=True)
    assert ["LD606"] == codes(failure)
    assert not machine.diff(good)


def test_rollback_restores_a_stored_generation(machine):
    """Rollback is an apply of what is stored: its model restarts, no generation is written."""
    first = stack_plan(model("smol"))
    machine.apply(first)
    machine.apply(stack_plan(model("smol", ctx=8192)))
    machine.start("smol")
    old = machine.pid("smol")
    hands = machine.hands()
    rollback(hands, hands.generations.load(1))
    assert machine.pid("smol") not in (None, old)
    assert not machine.diff(first)
    assert (1, 2) == hands.generations.numbers()


def test_down_leaves_nothing_and_apply_starts_again(machine):
    """Down ends every process and removes the run folder; then an apply has all to do."""
    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.start("smol")
    down(machine.hands())
    assert {} == machine.pids()
    assert not machine.folders.run.exists()
    assert ["supervisord"] == [c.address for c in machine.diff(plan).changes]
    machine.apply(plan)
    assert (1,) == machine.hands().generations.numbers()
    assert not machine.diff(plan)


def test_down_twice(machine):
    """Down of what is down has nothing to do."""
    machine.apply(stack_plan(model("smol")))
    down(machine.hands())
    down(machine.hands())


def test_orphans_of_a_killed_supervisord_are_ended(machine):
    """After SIGKILL of supervisord the next apply ends the router and models it left behind."""
    plan = stack_plan(model("smol", load="startup"))
    machine.apply(plan)
    before = machine.pids()
    os.kill(before["supervisord"], signal.SIGKILL)
    wait_until(lambda: machine.pid("supervisord") is None, "supervisord is gone")
    assert machine.diff(plan)
    machine.apply(plan)
    after = machine.pids()
    assert set(before) == set(after)
    assert not set(before.values()) & set(after.values())
    assert not machine.diff(plan)


def test_a_killed_router_comes_back_and_models_live_on(machine):
    """Supervisord restarts a router that was killed; nothing is left to apply."""
    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.start("smol")
    smol, router = machine.pid("smol"), machine.pid("router")
    os.kill(router, signal.SIGKILL)
    wait_until(lambda: machine.pid("router") not in (None, router), "the router is back")
    wait_until(machine.hands().router.status, "it answers")
    assert smol == machine.pid("smol")
    assert not machine.diff(plan)


def test_a_stopped_router_is_started(machine):
    """A router that somebody stopped is drift, and apply starts it."""
    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.hands().manager.stop_program("router", timeout_s=10)
    assert ["router"] == [c.address for c in machine.diff(plan).changes]
    machine.apply(plan)
    assert not machine.diff(plan)


def test_a_draining_router_is_restarted(machine):
    """A router left draining admits nothing: drift, and apply replaces it."""
    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.hands().router.drain(timeout_s=5)
    assert machine.diff(plan)
    machine.apply(plan)
    assert not machine.diff(plan)


def test_a_foreign_run_folder_is_refused(machine):
    """A symbolic link, a file, or a folder that others may enter is not used."""
    machine.folders.run.symlink_to(machine.folder)
    with pytest.raises(Failure) as failure:
        machine.diff(stack_plan(model("smol")))
    assert ["LD603"] == codes(failure)
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model("smol")))
    assert "LD603" in codes(failure)
    machine.folders.run.unlink()
    machine.folders.run.mkdir()
    machine.folders.run.chmod(0o755)
    with pytest.raises(Failure) as failure:
        machine.apply(stack_plan(model("smol")))
    assert "LD603" in codes(failure)


def test_another_environment_restarts_the_stack(machine, monkeypatch):
    """A store elsewhere is in supervisord's environment, so everything starts anew, models too."""
    import dataclasses

    plan = stack_plan(model("smol"))
    machine.apply(plan)
    machine.start("smol")
    before = machine.pids()
    machine.folders = dataclasses.replace(machine.folders, store=machine.folder / "other")
    changes = machine.diff(plan)
    assert ["supervisord"] == [c.address for c in changes.changes]
    assert ("smol",) == changes.restarts
    machine.apply(plan)
    after = machine.pids()
    assert set(before) == set(after)
    assert not set(before.values()) & set(after.values())
    assert not machine.diff(plan)
