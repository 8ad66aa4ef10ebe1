"""What must hold before a generation counts as good: models that are to run answer."""

from pathlib import Path

from llmdecl.activate.ask import context_as_planned, one_token
from llmdecl.activate.generations import Generation
from llmdecl.activate.hands import Task
from llmdecl.activate.logs import log_file, settled_tail
from llmdecl.activate.router_client import Answer, log_notes
from llmdecl.activate.rules import MODEL_START_FAILED, NO_ROOM
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.plan.model import ModelPlan
from llmdecl.spec.address import address as address_of


def gates(task: Task, goal: Generation) -> None:
    """Every `load = "startup"` model, and every one that ran before and was stopped, is ready, has
    its context, and answers one token."""
    models = goal.plan.models
    startup = [model for model in models if model.load == "startup"]
    again = [m for m in models if m.name in task.journal.restart and m.load != "startup"]
    for model in (*startup, *again):
        if _started(task, model):
            context_as_planned(model, task.hands.folders.run)
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
    logs = task.hands.folders.state / "logs"
    raise Failure(not_started(model.name, answer, logs), status=3)


def not_started(name: str, answer: Answer, logs: Path) -> Diagnostic:
    """A model did not become ready, with the end of its log."""
    end = settled_tail(log_file(logs, name), 12) or answer.log_tail.splitlines()
    return MODEL_START_FAILED.at(
        address_of("models", name),
        f"`{name}` does not start: {answer.error or f'status {answer.status}'}",
        notes=log_notes("\n".join(end)),
    )
