"""Carry out a generation: steps, gates, and the way back when one fails (DESIGN §8).

The caller holds the apply lock and has fetched what the generation needs.
"""

from typing import Literal

from llmdecl.activate import steps
from llmdecl.activate.gates import gates
from llmdecl.activate.generations import Content, Generation
from llmdecl.activate.hands import Hands, Task, begin
from llmdecl.activate.routers import require_runnable
from llmdecl.activate.rules import STEP_FAILED, UNDO_FAILED
from llmdecl.diagnostics import Diagnostic, Failure


def apply(hands: Hands, content: Content) -> tuple[Generation, tuple[Diagnostic, ...]]:
    """`content` is in force: its generation, and warnings. A Failure (status 3) after which the
    earlier generation is in force again."""
    require_runnable(content.plan)
    hands.manager.require_able(artefact.path for artefact in content.artefacts)
    try:
        goal = hands.generations.write(content)
    except OSError as error:
        raise _failed(error, status=1) from error
    hands.after("generation")
    return goal, carry_out(hands, "apply", goal)


def rollback(hands: Hands, goal: Generation) -> tuple[Diagnostic, ...]:
    """A stored generation is in force again; a Failure when it is damaged or a step fails."""
    hands.generations.require_intact(goal)
    hands.manager.require_able(goal.manifest.artefacts)
    return carry_out(hands, "rollback", goal)


def carry_out(
    hands: Hands, verb: Literal["apply", "rollback"], goal: Generation
) -> tuple[Diagnostic, ...]:
    """Everything from pointing `wanted` at `goal` to pointing `current` there."""
    previous = hands.generations.load_pointed("current")
    task = begin(hands, verb, target=goal, previous=previous)
    try:
        _reach(task, goal)
    except Failure as failure:
        _back(task, goal, previous, failure)
    except OSError as error:
        _back(task, goal, previous, _failed(error))
    hands.generations.point("current", goal.number)
    task.did("current")
    hands.generations.prune()
    hands.journal.remove()
    hands.after("end")
    return tuple(task.warnings)


def _reach(task: Task, goal: Generation, *, back: bool = False) -> None:
    """Another kind of router has other processes: what runs is drained and stopped first."""
    wanted = task.hands.generations.load_pointed("wanted")
    if wanted is not None and wanted.plan.router.kind != goal.plan.router.kind:
        task.hands.say("drains and stops everything, for another router")
        steps.stop_all(task)
        task.did("stopped all")
    task.hands.generations.point("wanted", goal.number)
    task.did("wanted")
    steps.converge(task, goal)
    gates(task, goal, back=back)


def _back(task: Task, goal: Generation, previous: Generation | None, failure: Failure) -> None:
    """Undo, then raise what failed. Without an earlier generation, everything is stopped."""
    hands = task.hands
    if previous is not None and previous.number == goal.number:
        raise Failure(*failure.diagnostics, status=3) from failure
    try:
        if previous is None:
            hands.say("stops what was started")
            _stop(task)
            hands.generations.point("wanted", None)
        else:
            hands.say(f"puts generation {previous.number} back")
            _reach(task, previous, back=True)
    except (Failure, OSError) as second:
        more = second if isinstance(second, Failure) else _failed(second)
        summary = "going back failed too; the stack is between two generations"
        raise Failure(
            *failure.diagnostics, UNDO_FAILED.at("state", summary), *more.diagnostics, status=3
        ) from failure
    hands.journal.remove()
    raise Failure(*failure.diagnostics, status=3) from failure


def down(hands: Hands) -> None:
    """Nothing of the stack runs and its run folder is gone. `current` stays: `apply` starts it."""
    task = begin(hands, "down", target=None, previous=hands.generations.load_pointed("current"))
    try:
        _stop(task)
    except OSError as error:
        raise _failed(error) from error
    hands.journal.remove()
    hands.after("end")


def _stop(task: Task) -> None:
    hands = task.hands
    hands.say("drains and stops everything")
    steps.stop_all(task)
    task.did("stopped all")
    steps.end_orphans(task, None)
    hands.manager.tidy()
    task.did("removed run folder")


def anything_runs(hands: Hands) -> bool:
    """Whether a process or the run folder of this stack is there."""
    return hands.manager.is_here()


def _failed(error: OSError, *, status: int = 3) -> Failure:
    return Failure(STEP_FAILED.at(str(error.filename or "system"), str(error)), status=status)
