"""The loop around state machine and scheduler: it owns clock, queues and processes.

Everything happens in the event loop's thread. News becomes an event (`feed`), events become
effects, and after each the scheduler decides anew (`wake`), once however many there were.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Literal

from llmdecl.router import refusals
from llmdecl.router.chores import Chores
from llmdecl.router.config import ModelConfig, RouterConfig
from llmdecl.router.events import (
    CloseUpstreams,
    Drained,
    Effect,
    Event,
    Exited,
    KillProcess,
    Overdue,
    PollHealth,
    RefuseWaiting,
    StartProgram,
    State,
    StopProgram,
    StopRequested,
    Wanted,
    WatchExit,
)
from llmdecl.router.machine import UndeclaredArrowError, step
from llmdecl.router.placement import Verdict
from llmdecl.router.ports import DataPath, Lease, Refused
from llmdecl.router.resident import Resident, Waiter
from llmdecl.router.scheduler import Decision, decide
from llmdecl.router.world import World

log = logging.getLogger("llmdecl.router")

Tally = Literal["starts", "failed_starts", "evictions", "unloads"]

RECHECK_S = 1.0
"""A request that waits for a start that is under way is bounded by the start, not by its queue."""


class Keeper:
    """Keeps the models: a `ports.Lifecycle`. Must be made inside a running loop."""

    def __init__(self, config: RouterConfig, world: World) -> None:
        self.config = config
        self.world = world
        self.loop = asyncio.get_running_loop()
        self.data_path: DataPath | None = None
        self.draining = False
        self.tally: Callable[[str, Tally], None] = _uncounted
        """Told of each start, failed start, eviction and idle unload, for `/metrics`."""
        self.notice: Callable[[Resident, Verdict | None], None] = _unnoticed
        """Told of each verdict on where a model is, and (`None`) that it is gone."""
        self.residents = dict[str, Resident]()
        self.chores = Chores(self)
        self._tasks = set[asyncio.Task[None]]()
        self._decision_due = True
        """Also before `begin` and after `close`, so that nothing is decided then."""
        self._timer: asyncio.TimerHandle | None = None
        self._contended = False
        for model in config.models:
            self.add(model)

    def begin(self) -> None:
        """Start deciding: what already runs has been fed."""
        self._decision_due = False
        self.wake()

    def add(self, model: ModelConfig) -> Resident:
        """Begin to keep a model; it is loaded soon if it is for startup."""
        resident = Resident(model, self.world.socket(model), self.loop.time())
        self.residents[model.name] = resident
        if model.load == "startup":
            self.wish(resident)
        return resident

    def wish(self, resident: Resident) -> None:
        """Have it loaded without a request."""
        if resident.wished_since is None:
            resident.wished_since = self.loop.time()
        self.wake()

    # a ports.Lifecycle

    def try_acquire(self, model: str) -> Lease | None:
        """See `ports.Lifecycle`."""
        resident = self.residents.get(model)
        if resident is None or not resident.admits:
            return None
        return self._grant(resident)

    async def acquire(self, model: str, *, patient: bool = False) -> Lease:
        """See `ports.Lifecycle`. An operator is `patient`: no queue's bounds hold for it."""
        lease = self.try_acquire(model)
        if lease is not None:
            return lease
        resident = self._admissible(model, patient=patient)
        waiter: Waiter = self.loop.create_future()
        resident.queue[waiter] = self.loop.time()
        timer = None
        if not patient:
            due = partial(self._waited_too_long, resident, waiter)
            timer = self.loop.call_later(self.config.queue_timeout_s, due)
        self.wake()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if resident.queue.pop(waiter, None) is not None:
                self.wake()

    def release(self, lease: Lease, *, abandoned: bool = False) -> None:
        """See `ports.Lifecycle`. A second release changes nothing."""
        resident = self.residents.get(lease.model)
        if resident is None or lease not in resident.leases:
            return
        resident.leases.discard(lease)
        if abandoned and lease.generation == resident.process.generation:
            self.chores.settle(resident)
        if not resident.leases:
            self.went_idle(resident)

    def states(self) -> Mapping[str, str]:
        """See `ports.Lifecycle`."""
        return {name: resident.state.value for name, resident in self.residents.items()}

    def queued(self, model: str) -> int:
        """How many requests wait for it."""
        resident = self.residents.get(model)
        return len(resident.queue) if resident else 0

    # requests

    def _grant(self, resident: Resident) -> Lease:
        lease = Lease(resident.config.name, resident.socket, resident.process.generation)
        resident.leases.add(lease)
        return lease

    def _admissible(self, model: str, *, patient: bool) -> Resident:
        """The model, if a request may queue for it; raises Refused otherwise."""
        if self.draining:
            raise refusals.stopping()
        resident = self.residents.get(model)
        if resident is None or resident.removed:
            raise refusals.unknown(model)
        if resident.state is State.BACKOFF:
            tail = self.world.log_tail(resident.config.program)
            raise refusals.backing_off(resident, self.loop.time(), tail)
        if not patient and len(resident.queue) >= self.config.queue_size:
            raise refusals.queue_full(resident, self.config)
        return resident

    def _waited_too_long(self, resident: Resident, waiter: Waiter) -> None:
        if waiter.done():
            return
        if resident.state is State.STARTING:
            again = partial(self._waited_too_long, resident, waiter)
            self.loop.call_later(RECHECK_S, again)
            return
        waiter.set_exception(refusals.too_late(resident, self.config))

    def refuse_waiting(self, resident: Resident, refusal: Refused) -> None:
        """Answer everybody in the queue with this, each with an exception of its own."""
        waiting, resident.queue = resident.queue, {}
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(refusals.again(refusal))

    def open_or_close(self, resident: Resident) -> None:
        """Set `admits`; when it admits, everybody in the queue gets a lease."""
        resident.admits = (
            resident.state is State.READY and not resident.closed and not self.draining
        )
        if not resident.admits or not resident.queue:
            return
        waiting, resident.queue = resident.queue, {}
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(self._grant(resident))

    def went_idle(self, resident: Resident) -> None:
        """Its last request, or the last trace of one, is over."""
        resident.idle_since = self.loop.time()
        if resident.busy:
            return
        if resident.state is State.DRAINING:
            self.feed(resident, Drained())
        elif self._contended or resident.removed or resident.config.ttl_s == 0:
            self.wake()
        else:
            self._wake_at(resident.idle_unload_at())

    # events and effects

    def feed(self, resident: Resident, event: Event) -> None:
        """Take one step of a model's state machine and do what it asks for."""
        before = resident.process
        limits = resident.limits(self.config.drain_timeout_s)
        try:
            resident.process, effects = step(before, event, self.loop.time(), limits)
        except UndeclaredArrowError:
            log.exception("model %s: an event that has no arrow", resident.name)
            return
        if resident.process.failures > before.failures and before.state is not State.READY:
            self.tally(resident.name, "failed_starts")
        if resident.process.state is not before.state:
            self._entered(resident, before.state)
        for effect in effects:
            self._perform(resident, effect)
        if resident.state is State.DRAINING and not resident.busy:
            self.feed(resident, Drained())
        self.wake()

    def _entered(self, resident: Resident, before: State) -> None:
        now, process = self.loop.time(), resident.process
        log.info("model %s: %s -> %s%s", resident.name, before, process.state, _about(resident))
        if process.state is State.STARTING:
            resident.loaded, resident.note = resident.config, ""
            resident.wanted_at = now
        if process.state is State.READY:
            self._ready(resident, now)
        if not resident.occupies:
            resident.loaded = resident.digest = None
            if resident.verdict is not None:
                resident.verdict = None
                self.notice(resident, None)
            resident.unsettled = False
            if before is State.READY and resident.config.load == "startup":
                self.wish(resident)
        resident.closed = resident.closed and process.state is State.READY
        self.open_or_close(resident)
        resident.tell_change()
        if resident.removed and not resident.occupies:
            self._forget(resident)

    def _ready(self, resident: Resident, now: float) -> None:
        process = resident.process
        assert process.pid is not None
        resident.ready_since = resident.idle_since = now
        resident.wished_since = None
        resident.load_s = None if process.adopted else now - resident.wanted_at
        resident.digest = self.world.digest(process.pid) or resident.config.digest
        if resident.digest != resident.config.digest:
            log.warning("model %s: its process is of another configuration", resident.name)
        if process.adopted:
            self.chores.settle(resident)
        self.spawn(self.chores.check_placement(resident, process.pid))

    def judge_anew(self, resident: Resident) -> None:
        """The plan expects something else of the process that runs."""
        assert resident.process.pid is not None
        resident.verdict = None
        self.spawn(self.chores.check_placement(resident, resident.process.pid))

    def placed(self, resident: Resident, verdict: Verdict) -> None:
        """Its log was read. What differs from the plan is said here, in `status` and in
        `/metrics`; the model serves on."""
        resident.verdict = verdict
        for difference in verdict.differences:
            log.warning("model %s: not as planned: %s", resident.name, difference)
        for cause in verdict.causes if verdict.differences else ():
            log.warning("model %s: likely cause: %s", resident.name, cause)
        self.notice(resident, verdict)

    def _forget(self, resident: Resident) -> None:
        if self.residents.get(resident.name) is resident:
            del self.residents[resident.name]

    def _perform(self, resident: Resident, effect: Effect) -> None:
        program = resident.loaded or resident.config
        match effect:
            case StartProgram():
                self.tally(resident.name, "starts")
                self.spawn(self.chores.start(resident))
            case WatchExit(pid):
                gone = partial(self._exited, resident, pid)
                self.world.watch(pid, gone)
            case PollHealth(pid):
                self.spawn(self.chores.poll_health(resident, pid))
            case CloseUpstreams():
                if self.data_path is not None:
                    self.data_path.close_upstreams(resident.name)
            case StopProgram(pid):
                self.spawn(self.world.stop(program, pid))
            case KillProcess(pid):
                log.warning("model %s: pid %d ignores TERM, killing it", resident.name, pid)
                self.world.kill(pid)
            case RefuseWaiting(reason, unavailable):
                if resident.config.load != "startup":
                    resident.wished_since = None
                refusal = refusals.not_started(
                    resident,
                    reason,
                    self.loop.time(),
                    unavailable=unavailable,
                    log_tail=self.world.log_tail(program.program),
                )
                self.refuse_waiting(resident, refusal)

    def _exited(self, resident: Resident, pid: int) -> None:
        if resident.state is State.STARTING:
            self.spawn(self.chores.bury(resident, pid))
        else:
            self.feed(resident, Exited(pid))

    def spawn(self, chore: Coroutine[object, object, None]) -> None:
        """Run something beside; its failure is logged."""
        task = self.loop.create_task(chore)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a chore failed", exc_info=task.exception())

    # decisions

    def wake(self) -> None:
        """Decide soon."""
        if not self._decision_due:
            self._decision_due = True
            self.loop.call_soon(self._decide)

    def _wake_at(self, at: float | None) -> None:
        if at is None or (self._timer is not None and self._timer.when() <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(at, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        self.wake()

    def _decide(self) -> None:
        self._decision_due = False
        now = self.loop.time()
        for resident in tuple(self.residents.values()):
            deadline = resident.process.deadline
            if deadline is not None and now >= deadline:
                self.feed(resident, Overdue())
        candidates = [resident.candidate() for resident in self.residents.values()]
        budgets = {pool.name: pool.budget_bytes for pool in self.config.pools}
        residency = self.config.min_residency_s
        self._carry_out(decide(candidates, budgets, now=now, min_residency_s=residency))
        self._contended = any(r.waiting_since() is not None for r in self.residents.values())
        for resident in self.residents.values():
            self._wake_at(resident.process.deadline)

    def _carry_out(self, decision: Decision) -> None:
        for resident in tuple(self.residents.values()):
            closed = resident.name in decision.closed or resident.name in decision.stop
            if closed != resident.closed:
                resident.closed = closed
                self.open_or_close(resident)
        for name, reason in decision.impossible.items():
            resident = self.residents[name]
            resident.wished_since, resident.note = None, reason
            log.warning("model %s: can't be loaded: %s", name, reason)
            self.refuse_waiting(resident, refusals.impossible(name, reason))
            resident.tell_change()
        for name in decision.stop:
            unload_at = self.residents[name].idle_unload_at()
            idle = unload_at is not None and unload_at <= self.loop.time()
            self.tally(name, "unloads" if idle else "evictions")
            self.feed(self.residents[name], StopRequested())
        if not self.draining:
            for name in decision.start:
                self.feed(self.residents[name], Wanted())
        self._wake_at(decision.wake_at)

    async def close(self) -> None:
        """Stop deciding; models live on."""
        self._decision_due = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _unnoticed(_resident: Resident, _verdict: Verdict | None) -> None:
    """Nobody listens."""


def _uncounted(_model: str, _what: Tally) -> None:
    """Nobody counts."""


def _about(resident: Resident) -> str:
    process = resident.process
    parts = [f"pid {process.pid}" if process.pid else "", process.error]
    text = ", ".join(part for part in parts if part)
    return f" ({text})" if text else ""
