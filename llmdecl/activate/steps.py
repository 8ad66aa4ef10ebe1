"""The steps that make the world like a generation.

Each asks the world what is left to do, so doing one twice is doing it once, and a change that was
killed anywhere is finished by the next one.
"""

import time
from collections.abc import Callable

from llmdecl.activate import processes
from llmdecl.activate.generations import Generation
from llmdecl.activate.hands import Hands, Task
from llmdecl.activate.live import (
    MODEL_PROGRAM,
    ROUTER_FILES,
    ROUTER_PROGRAM,
    RUNNING_STATES,
    LiveManager,
)
from llmdecl.activate.managers.manager import Reread
from llmdecl.activate.router_client import RouterStatus, log_notes, refused, silent
from llmdecl.diagnostics import Failure

Condition = Callable[[RouterStatus], bool]

ROUTER_START_S = 20
POLL_S = 0.02
STOP_S = 30


def converge(task: Task, goal: Generation) -> None:
    """Manager, programs and router as `goal` has them; `wanted` points there already."""
    manager_up(task)
    programs(task, goal)
    router_up(task, goal)


def manager_up(task: Task) -> None:
    """The manager runs, with the environment of now, and nobody's processes are gone."""
    hands = task.hands
    live = hands.manager.observe()
    if live is not None and live.differs:
        task.will_stop(_running(live))
        hands.say("drains and stops everything, to start the manager anew")
        stop_all(task)
        task.did("stopped all")
        live = None
    end_orphans(task, live)
    if live is None:
        hands.say("starts the manager")
        hands.manager.start()
        task.did("started manager")


def end_orphans(task: Task, live: LiveManager | None) -> None:
    """What carries our mark and does not descend from the live manager is ended.

    A router among them may first finish what is in flight.
    """
    hands = task.hands
    left = processes.orphans(hands.folders.stack, live.pid if live else None)
    if not left:
        return
    hands.say(f"ends {len(left)} processes that an earlier manager left behind")
    status = hands.router.status(timeout_s=2)
    if status is not None and status.pid in {process.pid for process in left}:
        _drain(task)
    processes.end(left)
    task.did("ended orphans")


def programs(task: Task, goal: Generation) -> None:
    """The manager has the goal's programs. Only models whose program or digest differs are stopped:
    drained by the router, their requests waiting for the new process."""
    hands = task.hands
    reread = hands.manager.reread()
    live = hands.manager.observe()
    digests = {f"{MODEL_PROGRAM}{model.name}": model.digest for model in goal.plan.models}
    running = {} if live is None else {p.name: p for p in live.programs}
    other = {
        name
        for name, program in running.items()
        if program.running is not None and name in digests and program.running != digests[name]
    }
    touched = sorted({*reread.changed, *reread.removed, *other} - {ROUTER_PROGRAM})
    task.will_stop(
        name.removeprefix(MODEL_PROGRAM)
        for name in touched
        if name in digests and name in running and running[name].state in RUNNING_STATES
    )
    status = hands.router.status()
    for name in touched:
        stop_model(task, name.removeprefix(MODEL_PROGRAM), status)
    _regroup(task, reread)


def _regroup(task: Task, reread: Reread) -> None:
    """Tell the manager of every program whose text changed."""
    hands = task.hands
    for name in reread.removed:
        hands.manager.remove(name)
        task.did(f"removed {name}")
    for name in reread.changed:
        if name == ROUTER_PROGRAM:
            hands.say("drains and restarts the router")
            _drain(task)
            hands.manager.stop_program(name, timeout_s=task.patience_s)
        hands.manager.replace(name)
        task.did(f"replaced {name}")
    for name in reread.added:
        hands.manager.add(name)
        task.did(f"added {name}")


def stop_model(task: Task, name: str, status: RouterStatus | None) -> None:
    """Held back by the router, if there is one that knows the model; gone in any case."""
    hands = task.hands
    known = {m.name: m for m in status.models} if status and not status.draining else {}
    if name in known:
        if known[name].pid is not None:
            hands.say(f"drains and stops {name}")
        answer = hands.router.hold(name, timeout_s=task.patience_s)
        if not answer.ok and answer.status != 404:
            raise Failure(refused(name, "hold", answer), status=3)
    hands.manager.stop_program(f"{MODEL_PROGRAM}{name}", timeout_s=task.patience_s)
    task.did(f"stopped {name}")


def end_unrouted(hands: Hands, name: str) -> None:
    """A process of a model that somebody else started, and the router does not know, ends too."""
    status, live = hands.router.status(), hands.manager.observe()
    program = f"{MODEL_PROGRAM}{name}"
    known = {model.name for model in status.models if model.state != "stopped"} if status else set()
    here = {each.name for each in live.programs if each.pid is not None} if live else set()
    if program in here and name not in known:
        hands.manager.stop_program(program, timeout_s=STOP_S)


def router_up(task: Task, goal: Generation) -> None:
    """The router runs the goal's configuration and holds nothing back."""
    hands = task.hands
    wanted = goal.manifest.files[ROUTER_FILES[goal.plan.router.kind]]
    status = hands.router.status()
    if status is None:
        status = _revive(task)
    if status.draining:
        _drain(task)
        _bounce(task)
        status = _await_router(task, lambda now: not now.draining)
    held = [model.name for model in status.models if model.held]
    if status.config_sha256 != wanted or held:
        hands.say("reloads the router")
        hands.router.reload(timeout_s=task.patience_s)
        status = _await_router(task, lambda now: now.config_sha256 == wanted)
    task.did("reloaded router")
    for model in status.models:
        if model.held:
            hands.router.release(model.name, timeout_s=task.patience_s)
    task.did("released models")


def _revive(task: Task) -> RouterStatus:
    """A router that does not answer: started, waited for, and once started anew when it hangs."""
    hands = task.hands
    hands.say("starts the router")
    hands.manager.start_program(ROUTER_PROGRAM)
    try:
        return _await_router(task, lambda _status: True)
    except Failure:
        live = hands.manager.observe()
        states = {p.name: p.state for p in live.programs} if live else {}
        if states.get(ROUTER_PROGRAM) != "RUNNING":
            raise  # it says in its log why it does not come up
    _bounce(task)
    return _await_router(task, lambda _status: True)


def _bounce(task: Task) -> None:
    task.hands.manager.stop_program(ROUTER_PROGRAM, timeout_s=task.patience_s)
    task.hands.manager.start_program(ROUTER_PROGRAM)


def _await_router(task: Task, good: Condition) -> RouterStatus:
    """The first status for which `good` holds; a Failure with the log's end when none comes."""
    deadline = time.monotonic() + ROUTER_START_S
    while True:
        status = task.hands.router.status()
        if status is not None and good(status):
            return status
        if time.monotonic() > deadline:
            log = task.hands.manager.log(ROUTER_PROGRAM).tail(12)
            why = "no answer" if status is None else "it runs another configuration"
            raise Failure(
                silent(f"waited {ROUTER_START_S} s: {why}", *log_notes("\n".join(log))), status=3
            )
        time.sleep(POLL_S)


def stop_all(task: Task) -> None:
    """Drain, then end router, models and manager."""
    hands = task.hands
    live = hands.manager.observe()
    if live is None:
        return
    _drain(task)
    if any(program.name == ROUTER_PROGRAM for program in live.programs):
        hands.manager.stop_program(ROUTER_PROGRAM, timeout_s=task.patience_s)
    hands.manager.shut_down(timeout_s=60)


def _drain(task: Task) -> None:
    """Let the router finish what is in flight; a dead one has nothing."""
    if task.hands.router.status() is not None:
        try:
            task.hands.router.drain(timeout_s=task.patience_s)
        except Failure:
            return


def _running(live: LiveManager) -> list[str]:
    return [
        program.name.removeprefix(MODEL_PROGRAM)
        for program in live.programs
        if program.name.startswith(MODEL_PROGRAM) and program.state in RUNNING_STATES
    ]
