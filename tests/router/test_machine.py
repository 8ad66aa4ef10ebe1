"""The state machine: each arrow, and what no sequence of events may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.router.events import (
    OCCUPYING,
    CloseUpstreams,
    Drained,
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
    StopProgram,
    StopRequested,
    Then,
    Wanted,
    WatchExit,
)
from llmdecl.router.machine import UndeclaredArrowError, backoff_s, step

LIMITS = Limits(start_s=60.0, drain_s=30.0, stop_s=6.0)
HOLD = StopRequested(Then.HOLD)


def run(*events, process=None, now=0.0):
    """The state after these events, and the last one's effects; `(event, now)` sets the time."""
    process, effects = process or Process(), ()
    for entry in events:
        event, now = entry if isinstance(entry, tuple) else (entry, now)
        process, effects = step(process, event, now, LIMITS)
    return process, effects


READY = (Wanted(), Spawned(7), Healthy(7))


def test_a_start():
    """Wanted, spawned, healthy: with a watch on the exit before the first question."""
    process, effects = run(Wanted())
    assert (process.state, process.generation, effects) == (State.STARTING, 1, (StartProgram(),))
    process, effects = run(Spawned(7), process=process)
    assert effects == (WatchExit(7), PollHealth(7))
    assert process.deadline == 60.0
    process, effects = run(Healthy(7), process=process)
    assert (process.state, process.pid, process.deadline) == (State.READY, 7, None)


def test_a_stop_drains_then_ends():
    """TERM comes after the last byte, and the model claims until its process is gone."""
    process, effects = run(*READY, StopRequested())
    assert (process.state, process.deadline, effects) == (State.DRAINING, 30.0, ())
    process, effects = run(Drained(), process=process, now=5.0)
    assert effects == (CloseUpstreams(), StopProgram(7))
    assert (process.state, process.deadline) == (State.STOPPING, 11.0)
    process, effects = run(Exited(7), process=process)
    assert (process.state, process.pid, effects) == (State.STOPPED, None, ())


def test_a_drain_has_an_end_and_so_has_a_stop():
    """After the drain time-out TERM, after the stop time-out KILL, again and again."""
    process, effects = run(*READY, StopRequested(), (Overdue(), 30.0))
    assert effects == (CloseUpstreams(), StopProgram(7))
    process, effects = run((Overdue(), 36.0), process=process)
    assert (process.state, effects) == (State.STOPPING, (KillProcess(7),))
    process, effects = run((Overdue(), 42.0), process=process)
    assert effects == (KillProcess(7),)


def test_failed_starts_back_off_and_double():
    """1 s, 2 s, 4 s, and at most a minute; a start that succeeds does not forget, a stop does."""
    process = Process()
    for count, wait in enumerate([1.0, 2.0, 4.0, 8.0], 1):
        process, effects = run(Wanted(), Spawned(7), Exited(7), process=process)
        assert process.state is State.BACKOFF
        assert isinstance(effects[0], RefuseWaiting)
        assert process.failures == count
        assert process.deadline == wait
        process, _ = run((Overdue(), wait), process=process)
        assert process.state is State.STOPPED
    assert backoff_s(7) == backoff_s(5000) == 60.0
    process, _ = run(*READY, StopRequested(), Drained(), Exited(7), process=process)
    assert process.failures == 0


def test_not_ready_in_time():
    """The process is stopped first, then back-off; who waits is told at once."""
    process, effects = run(Wanted(), Spawned(7), (Overdue(), 60.0))
    assert (process.state, process.then) == (State.STOPPING, Then.BACK_OFF)
    assert effects == (RefuseWaiting("not ready within 60 s"), StopProgram(7))
    process, _ = run((Exited(7), 61.0), process=process)
    assert (process.state, process.deadline) == (State.BACKOFF, 62.0)


def test_supervisord_away_is_no_fault_of_the_model():
    """A second of back-off, and the failures are not counted."""
    process, effects = run(Wanted(), NotSpawned("gone", unavailable=True))
    assert (process.state, process.failures, process.deadline) == (State.BACKOFF, 0, 1.0)
    assert effects == (RefuseWaiting("gone", unavailable=True),)


def test_a_crash():
    """A ready process that dies is stopped and counted; the third quick one in a row backs off."""
    process, _ = run(*READY, (Exited(7), 100.0))
    assert (process.state, process.crashes, process.failures) == (State.STOPPED, 1, 0)
    for _ in range(2):
        process, _ = run(*READY, Exited(7), process=process)
        assert process.state is State.STOPPED
    process, _ = run(*READY, Exited(7), process=process)
    assert (process.state, process.crashes) == (State.BACKOFF, 4)


def test_hold_from_anywhere():
    """A hold ends in HELD from each state, and only a release leads on."""
    for events in ((), READY, (Wanted(),), (Wanted(), Spawned(7)), (*READY, StopRequested())):
        process, _ = run(*events, HOLD)
        if process.state is State.STOPPING and process.pid is None:
            process, effects = run(Spawned(7), process=process)
            assert effects == (WatchExit(7), StopProgram(7))
        if process.state is State.DRAINING:
            process, _ = run(Drained(), process=process)
        process, _ = run(Exited(7), process=process)
        assert process.state is State.HELD
        assert run(StopRequested(), process=process)[0].state is State.HELD
        assert run(Released(), process=process)[0].state is State.STOPPED


def test_released_before_it_was_stopped():
    """The stop goes on, the hold does not."""
    process, _ = run(*READY, HOLD, Released(), Drained(), Exited(7))
    assert process.state is State.STOPPED


def test_adoption():
    """What was found is asked for its health, and known as adopted until the next start."""
    process, effects = run(Found(9))
    assert effects == (WatchExit(9), PollHealth(9))
    process, _ = run(Healthy(9), process=process)
    assert (process.state, process.adopted) == (State.READY, True)
    process, _ = run(Exited(9), Wanted(), process=process)
    assert not process.adopted


def test_news_of_another_process_changes_nothing():
    """A late exit or health of an earlier pid is no news of this one."""
    process, _ = run(*READY)
    for event in (Exited(6), Healthy(6), Overdue(), Drained()):
        assert step(process, event, 1.0, LIMITS) == (process, ())


def test_an_arrow_that_does_not_exist():
    """Whoever sends it is at fault, and hears of it."""
    with pytest.raises(UndeclaredArrowError):
        run(*READY, Wanted())
    with pytest.raises(UndeclaredArrowError):
        run(Spawned(7))


EVENTS = st.sampled_from(
    [
        Wanted(),
        Spawned(1),
        Spawned(2),
        NotSpawned("no"),
        NotSpawned("no", unavailable=True),
        Healthy(1),
        Healthy(2),
        Exited(1),
        Exited(2),
        Overdue(),
        Drained(),
        StopRequested(),
        HOLD,
        Released(),
    ]
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 100)), max_size=40))
def test_whatever_comes(events):
    """A process is never forgotten, never started twice, and never without a way on."""
    process, now, ours = Process(), 0.0, set()
    for event, later in events:
        now += later
        before = process
        try:
            process, effects = step(process, event, now, LIMITS)
        except UndeclaredArrowError:
            continue
        if isinstance(event, Spawned):
            ours.add(event.pid)
        if isinstance(event, Exited):
            ours.discard(event.pid) if event.pid == before.pid else None
        assert (process.pid is None) or process.state in OCCUPYING
        if StartProgram() in effects:
            assert before.state is State.STOPPED
            assert not ours
            ours = set()
        if process.state in {State.DRAINING, State.BACKOFF}:
            assert process.deadline is not None
        if process.state in {State.STOPPING, State.STARTING} and process.pid is not None:
            assert process.deadline is not None
        if process.state not in OCCUPYING:
            assert not ours
