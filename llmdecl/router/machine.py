"""One model's process as a pure state machine: `(state, event, now) -> (state, effects)`.

```
             Wanted              Healthy             StopRequested
   STOPPED ----------> STARTING ---------> READY -------------------> DRAINING
   ^  ^  ^                |  |                |                           | Drained, Overdue
   |  |  |     Exited,    |  | StopRequested, |                           v
   |  |  |    NotSpawned  v  +---Overdue------|----------------------> STOPPING
   |  |  +---Overdue-- BACKOFF <--------------|----(then BACK_OFF)---- Exited
   |  +-----Released--- HELD <----------------|----(then HOLD)-------- Exited
   +--------------------------- Exited -------+----(then REST)-------- Exited
```

Every arrow is written once, in `step`; an event that has no arrow raises `UndeclaredArrowError`.
Times are seconds of one monotonic clock.
"""

from dataclasses import replace

from llmdecl.router.events import (
    CloseUpstreams,
    Drained,
    Event,
    Exited,
    Found,
    Healthy,
    KillProcess,
    Limits,
    NotSpawned,
    Overdue,
    PollHealth,
    Process,
    RefuseWaiting,
    Released,
    Spawned,
    StartProgram,
    State,
    Step,
    StopProgram,
    StopRequested,
    Then,
    Wanted,
    WatchExit,
)

STABLE_S = 2.0
"""A process that dies sooner after it was ready counts as failing, not as crashed once."""

QUICK_CRASHES = 3
"""So many such deaths in a row end in back-off, so that no crash loop burns the machine."""

UNAVAILABLE_BACKOFF_S = 1.0
"""Back-off while supervisord can't be asked: nothing is known against the model itself."""

MAX_BACKOFF_S = 60.0


class UndeclaredArrowError(Exception):
    """No arrow leaves this state on this event: a fault of whoever sent it."""


def backoff_s(failures: int) -> float:
    """1 s after the first failure, doubled by each further one, at most 60 s."""
    return min(MAX_BACKOFF_S, 2.0 ** min(failures - 1, 16))


def step(process: Process, event: Event, now: float, limits: Limits) -> Step:
    """The next state and what is to be done for it.

    News of an earlier process (another pid, an earlier deadline) changes nothing.
    """
    if _stale(process, event, now):
        return process, ()
    match process.state:
        case State.STOPPED:
            return _from_stopped(process, event, now, limits)
        case State.STARTING:
            return _from_starting(process, event, now, limits)
        case State.READY:
            return _from_ready(process, event, now, limits)
        case State.DRAINING:
            return _from_draining(process, event, now, limits)
        case State.STOPPING:
            return _from_stopping(process, event, now, limits)
        case State.HELD:
            return _from_held(process, event, now)
        case State.BACKOFF:
            return _from_backoff(process, event, now)


def _stale(process: Process, event: Event, now: float) -> bool:
    match event:
        case Healthy(pid):
            return pid != process.pid or process.state is not State.STARTING
        case Exited(pid):
            return pid != process.pid
        case Overdue():
            return process.deadline is None or now < process.deadline
        case Drained():
            return process.state is not State.DRAINING
        case _:
            return False


def _from_stopped(process: Process, event: Event, now: float, limits: Limits) -> Step:
    match event:
        case Wanted():
            starting = _enter(process, State.STARTING, now)
            return replace(starting, generation=process.generation + 1, adopted=False, error=""), (
                StartProgram(),
            )
        case Found(pid):
            starting = _enter(process, State.STARTING, now, deadline=now + limits.start_s)
            found = replace(
                starting, pid=pid, generation=process.generation + 1, adopted=True, error=""
            )
            return found, (WatchExit(pid), PollHealth(pid))
        case StopRequested(Then.HOLD):
            return _enter(process, State.HELD, now), ()
        case StopRequested() | Released():
            return replace(process, failures=0, error=""), ()
        case _:
            raise _undeclared(process, event)


def _from_starting(process: Process, event: Event, now: float, limits: Limits) -> Step:
    match event:
        case Spawned(pid) if process.pid is None:
            spawned = replace(process, pid=pid, deadline=now + limits.start_s)
            return spawned, (WatchExit(pid), PollHealth(pid))
        case NotSpawned(reason, unavailable) if process.pid is None:
            failed = _unavailable if unavailable else _failed
            return failed(process, reason, now), (RefuseWaiting(reason, unavailable),)
        case Healthy():
            return _enter(process, State.READY, now, pid=process.pid), ()
        case Exited():
            reason = "the process ended while it was starting"
            return _failed(process, reason, now), (RefuseWaiting(reason),)
        case Overdue() if process.pid is not None:
            reason = f"not ready within {limits.start_s:g} s"
            stopping = _stopping(process, Then.BACK_OFF, now, limits)
            return replace(stopping, error=reason), (
                RefuseWaiting(reason),
                StopProgram(process.pid),
            )
        case StopRequested(then) if process.pid is not None:
            return _stopping(process, then, now, limits), (StopProgram(process.pid),)
        case StopRequested(then):
            return _enter(process, State.STOPPING, now, then=then), ()
        case Released():
            return process, ()
        case _:
            raise _undeclared(process, event)


def _from_ready(process: Process, event: Event, now: float, limits: Limits) -> Step:
    match event:
        case StopRequested(then):
            draining = _enter(
                process,
                State.DRAINING,
                now,
                pid=process.pid,
                then=then,
                deadline=now + limits.drain_s,
            )
            return replace(draining, failures=0), ()
        case Exited():
            return _refusing(_crashed(process, now))
        case Released():
            return process, ()
        case _:
            raise _undeclared(process, event)


def _from_draining(process: Process, event: Event, now: float, limits: Limits) -> Step:
    match event:
        case Drained() | Overdue():
            assert process.pid is not None
            stopping = _stopping(process, process.then, now, limits)
            if isinstance(event, Overdue):
                stopping = replace(stopping, deadline=now + limits.cut_s)
            return stopping, (
                CloseUpstreams(),
                StopProgram(process.pid),
            )
        case Exited():
            return _gone(process, now), ()
        case StopRequested(Then.HOLD):
            return replace(process, then=Then.HOLD), ()
        case StopRequested():
            return process, ()
        case Released():
            return replace(process, then=Then.REST), ()
        case _:
            raise _undeclared(process, event)


def _from_stopping(process: Process, event: Event, now: float, limits: Limits) -> Step:
    match event:
        case Spawned(pid) if process.pid is None:
            stopping = replace(process, pid=pid, deadline=now + limits.stop_s)
            return stopping, (WatchExit(pid), StopProgram(pid))
        case NotSpawned() if process.pid is None:
            return _refusing(_gone(process, now))
        case Exited():
            return _refusing(_gone(process, now))
        case Overdue() if process.pid is not None:
            return replace(process, deadline=now + limits.stop_s), (KillProcess(process.pid),)
        case StopRequested(Then.HOLD):
            return replace(process, then=Then.HOLD), ()
        case StopRequested():
            then = Then.HOLD if process.then is Then.HOLD else Then.REST
            return replace(process, then=then, failures=0), ()
        case Released():
            then = Then.REST if process.then is Then.HOLD else process.then
            return replace(process, then=then), ()
        case _:
            raise _undeclared(process, event)


def _from_held(process: Process, event: Event, now: float) -> Step:
    match event:
        case Released():
            return replace(_enter(process, State.STOPPED, now), failures=0, error=""), ()
        case StopRequested():
            return process, ()
        case _:
            raise _undeclared(process, event)


def _from_backoff(process: Process, event: Event, now: float) -> Step:
    match event:
        case Overdue():
            return _enter(process, State.STOPPED, now), ()
        case StopRequested(Then.HOLD):
            return replace(_enter(process, State.HELD, now), failures=0), ()
        case StopRequested():
            return replace(_enter(process, State.STOPPED, now), failures=0, error=""), ()
        case Released():
            return process, ()
        case _:
            raise _undeclared(process, event)


def _enter(
    process: Process,
    state: State,
    now: float,
    *,
    pid: int | None = None,
    deadline: float | None = None,
    then: Then = Then.REST,
) -> Process:
    return replace(process, state=state, since=now, pid=pid, deadline=deadline, then=then)


def _stopping(process: Process, then: Then, now: float, limits: Limits) -> Process:
    return _enter(
        process, State.STOPPING, now, pid=process.pid, then=then, deadline=now + limits.stop_s
    )


def _gone(process: Process, now: float) -> Process:
    match process.then:
        case Then.REST:
            return _enter(process, State.STOPPED, now)
        case Then.HOLD:
            return _enter(process, State.HELD, now)
        case Then.BACK_OFF:
            return _failed(process, process.error, now)


def _refusing(process: Process) -> Step:
    """In back-off nobody waits: whoever does is told why."""
    waiting = process.state is State.BACKOFF
    return process, (RefuseWaiting(process.error),) if waiting else ()


def _failed(process: Process, reason: str, now: float) -> Process:
    failures = process.failures + 1
    backoff = _enter(process, State.BACKOFF, now, deadline=now + backoff_s(failures))
    return replace(backoff, failures=failures, error=reason)


def _unavailable(process: Process, reason: str, now: float) -> Process:
    backoff = _enter(process, State.BACKOFF, now, deadline=now + UNAVAILABLE_BACKOFF_S)
    return replace(backoff, error=reason)


def _crashed(process: Process, now: float) -> Process:
    quick = now - process.since < STABLE_S
    counted = replace(process, crashes=process.crashes + 1, failures=0)
    reason = "the process ended while it was serving"
    if quick and process.failures + 1 >= QUICK_CRASHES:
        return _failed(replace(counted, failures=process.failures), reason, now)
    failures = process.failures + 1 if quick else 0
    return replace(_enter(counted, State.STOPPED, now), failures=failures, error=reason)


def _undeclared(process: Process, event: Event) -> UndeclaredArrowError:
    return UndeclaredArrowError(f"{process.state.value}: {event!r}")
