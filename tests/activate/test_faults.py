"""SIGKILL between any two steps: the next apply, rollback or down finishes."""

import os
import signal

import pytest

from llmdecl.activate.apply import apply, down, rollback
from llmdecl.diagnostics import Failure

from .conftest import content, model, stack_plan


def killed_after(number, change):
    """Run `change(after)` in a child that is killed after its step `number`; whether it was."""
    child = os.fork()
    if child == 0:
        seen = 0

        def after(_step):
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            change(after)
        except Failure:
            os._exit(3)
        except BaseException:  # noqa: BLE001  # a child never returns into pytest
            os._exit(99)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) in (0, 3)
    return os.WIFSIGNALED(status)


def every_step(change, prepare, check):
    """Kill `change` after its first step, then its second ...; `check` each time."""
    number = 0
    while True:
        number += 1
        prepare()
        killed = killed_after(number, change)
        check()
        if not killed:
            return number - 1


OLD = stack_plan(model("edited"), model("gone"), model("stays"), model("first", load="startup"))
NEW = stack_plan(
    model("edited", ctx=8192), model("new"), model("stays"), model("first", load="startup")
)


@pytest.mark.parametrize("finish", ["apply", "rollback"])
def test_an_edit_killed_after_any_step_is_finished(machine, finish):
    """Whatever was done, the next apply reaches the plan (or rollback the old one): models that ran
    run again, those untouched keep their PIDs, nothing is left over."""
    stays = []

    def prepare():
        machine.apply(OLD)
        for name in ("edited", "gone", "stays"):
            machine.start(name)
        stays.append(machine.pid("stays"))

    def change(after):
        apply(machine.hands(after=after), content(NEW, router_note=True))

    def check():
        hands = machine.hands()
        if finish == "apply":
            machine.apply(NEW, router_note=True)
            assert not machine.diff(NEW, router_note=True)
        else:
            rollback(hands, hands.generations.load(1))
            assert not machine.diff(OLD)
        parts = {"supervisord", "router", "edited", "stays", "first"}
        assert parts == set(machine.pids()) - {"gone"}
        assert {stays[-1]} == set(stays) == {machine.pid("stays")}
        assert hands.journal.read() is None

    assert every_step(change, prepare, check) >= 12


def test_a_first_apply_killed_after_any_step_is_finished(machine):
    """From nothing: whatever was started, the next apply ends with one of everything."""
    plan = stack_plan(model("first", load="startup"))

    def check():
        machine.apply(plan)
        assert {"supervisord", "router", "first"} == set(machine.pids())
        assert not machine.diff(plan)
        down(machine.hands())
        hands = machine.hands()
        hands.generations.point("current", None)
        hands.generations.point("wanted", None)

    def change(after):
        machine.folders.state.mkdir(exist_ok=True)
        apply(machine.hands(after=after), content(plan))

    assert every_step(change, lambda: None, check) >= 8


def test_a_down_killed_after_any_step_is_finished(machine):
    """Down again leaves nothing; an apply instead brings all back."""
    plan = stack_plan(model("first", load="startup"))
    turn = iter(range(100))

    def check():
        if next(turn) % 2:
            down(machine.hands())
            assert {} == machine.pids()
            assert not machine.folders.run.exists()
        machine.apply(plan)
        assert not machine.diff(plan)

    machine.apply(plan)
    every_step(lambda after: down(machine.hands(after=after)), lambda: machine.apply(plan), check)


def test_going_back_killed_after_any_step_is_finished(machine):
    """A failed gate is undone; killed during that, an apply of the old plan still gets there."""
    good = stack_plan(model("first", load="startup"), model("other"))
    bad = stack_plan(model("first", load="startup", args=[("--fake-exit", 1)]), model("other"))

    def prepare():
        machine.apply(good)

    def change(after):
        apply(machine.hands(after=after), content(bad))

    def check():
        machine.apply(good)
        assert not machine.diff(good)
        assert {"supervisord", "router", "first"} == set(machine.pids())

    assert every_step(change, prepare, check) >= 12
