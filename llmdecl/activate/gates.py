"""What must hold before a generation counts as good: models that are to run answer."""

import time

from llmdecl.activate.ask import context_as_planned, one_token
from llmdecl.activate.generations import Generation
from llmdecl.activate.hands import Task
from llmdecl.activate.live import MODEL_PROGRAM
from llmdecl.activate.managers.manager import Manager
from llmdecl.activate.placing import differs
from llmdecl.activate.router_client import Answer, PlacementStatus, log_notes
from llmdecl.activate.rules import (
    MODEL_START_FAILED,
    NO_ROOM,
    PLACEMENT_UNKNOWN,
)
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.engines.llama_cpp.load_failures import causes_of
from llmdecl.plan.model import ModelPlan, Plan
from llmdecl.spec.address import address as address_of

VERDICT_S = 10.0
POLL_S = 0.02
CAUSE_LINES = 60
"""A cause can stand far above the end: an engine that aborts prints a backtrace."""


def gates(task: Task, goal: Generation, *, back: bool = False) -> None:
    """Every `load = "startup"` model, and every one that ran before and was stopped, is ready, has
    its context, is where it was planned, and answers one token.

    On the way `back` another place is a warning: what ran before serves on.
    """
    models = goal.plan.models
    startup = [model for model in models if model.load == "startup"]
    again = [m for m in models if m.name in task.journal.restart and m.load != "startup"]
    for model in (*startup, *again):
        if _started(task, model):
            context_as_planned(model, task.hands.folders.run)
            placed_as_planned(task, goal.plan, model, back=back)
            one_token(goal.plan, model, task.hands.folders.run)
            task.hands.say(f"{model.name} answers")
        task.did(f"started {model.name}")


def _started(task: Task, model: ModelPlan) -> bool:
    """Whether it is ready. False, with a warning, when an on-demand model finds no memory now."""
    patience_s = model.start_timeout_s + task.patience_s
    task.hands.say(f"waits for {model.name}")
    answer = task.hands.router.start(model.name, timeout_s=patience_s)
    if answer.ok:
        return True
    if answer.status in {503, 504} and not answer.log_tail and model.load != "startup":
        task.warnings.append(
            NO_ROOM.at(
                address_of("models", model.name),
                f"`{model.name}` is not running again",
                notes=[answer.error],
            )
        )
        return False
    raise Failure(not_started(model.name, answer, task.hands.manager), status=3)


def placed_as_planned(task: Task, plan: Plan, model: ModelPlan, *, back: bool) -> None:
    """The router has read in the engine's log that devices, layers and sizes are as planned; else
    a Failure. An engine that does not say is believed, with a warning when it was to use a device;
    a router that is not ours does not look."""
    said = _verdict(task, model.name) if plan.router.kind == "llmdecl" else None
    if said is None or not said.known:
        if model.placement.devices:
            summary = f"`{model.name}` runs, but its log does not say where"
            planned = f"planned: {', '.join(model.placement.devices)}"
            task.warnings.append(PLACEMENT_UNKNOWN.at(model.address, summary, notes=[planned]))
        return
    if not said.differences:
        return
    found = differs(plan, model, said.differences, said.causes, said.memory)
    if not back:
        raise Failure(found, status=3)
    task.warnings.append(found)


def _verdict(task: Task, name: str) -> PlacementStatus | None:
    """What the router says once it has read the log of a ready model."""
    deadline = time.monotonic() + VERDICT_S
    while True:
        status = task.hands.router.status()
        models = {model.name: model for model in status.models} if status else {}
        model = models.get(name)
        if model is not None and model.placement is not None:
            return model.placement
        if model is None or model.state != "ready" or time.monotonic() > deadline:
            return None
        time.sleep(POLL_S)


def not_started(name: str, answer: Answer, manager: Manager) -> Diagnostic:
    """A model did not become ready, with the end of its log."""
    log = manager.log(f"{MODEL_PROGRAM}{name}")
    end = log.settled_tail(CAUSE_LINES) or answer.log_tail.splitlines()
    causes = causes_of(end)
    return MODEL_START_FAILED.at(
        address_of("models", name),
        f"`{name}` does not start: {answer.error or f'status {answer.status}'}",
        notes=(*(f"likely cause: {cause}" for cause in causes), *log_notes("\n".join(end))),
    )
