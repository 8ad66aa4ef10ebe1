"""Who is loaded: a pure function of ledger and queues.

The rules, in the order in which they settle a conflict:

* Claims of loaded models never exceed a pool's budget; equal shared keys count once. No model is on
  a device that another one has for itself (`alone`). What is on its way out claims until its
  process is gone. When a reload made the budget smaller than what is loaded, room is made as for a
  request, before anybody is served.
* Whoever waits longest is served first. What it needs is kept free of later ones, who may
  start only beside it, so nobody starves.
* Room is made by the idle ones, least recently used first, and by no more of them than needed: none
  goes whose going makes no difference to what is short.
* A busy model is never evicted. When only busy ones could make room, they admit no more (`closed`),
  finish what they have, and go. Until then their own callers wait: that is one batch.
* A model keeps its place for `min_residency_s` after it was ready, so there are at most
  `elapsed / min_residency_s` swaps of a place, however many callers pull.
* Permanent models (`load = "startup"`, `ttl = "never"`) are never evicted.

Times are seconds of one monotonic clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmdecl.router.config import Claim
from llmdecl.router.events import OCCUPYING, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model as the scheduler sees it. `claims` and `devices` are those of its process while it
    has one; `alone` are devices that it shares with no model.

    `busy`: something is in flight, or may be. `waiting_since` is when the oldest request in its
    queue, or the operator's wish to have it loaded, came. `idle_since` is when its last request
    ended; `ready_since` when its process became ready.
    """

    name: str
    state: State
    claims: tuple[Claim, ...]
    devices: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    permanent: bool
    ttl_s: float | None
    busy: bool = False
    closed: bool = False
    waiting_since: float | None = None
    idle_since: float = 0.0
    ready_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    `start` and `stop` are disjoint; what is stopped is idle. `closed` are ready models that
    admit no new request for now. `impossible` gives reasons by model: it can't be loaded, however
    long it waits. `wake_at` is when to decide again if nothing happens before.
    """

    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    closed: frozenset[str] = frozenset()
    impossible: Mapping[str, str] = field(default_factory=dict)
    wake_at: float | None = None


def claimed_bytes(models: Iterable[tuple[Claim, ...]], pool: str) -> int:
    """What these models together claim of `pool`; each shared key once, at its largest."""
    own, shared = 0, dict[str, int]()
    for claims in models:
        for claim in claims:
            if claim.pool != pool:
                continue
            if claim.shared is None:
                own += claim.bytes
            else:
                shared[claim.shared] = max(claim.bytes, shared.get(claim.shared, 0))
    return own + sum(shared.values())


def _crowded(models: Iterable[Candidate]) -> bool:
    """Whether one of them is on a device that another one has for itself."""
    models = tuple(models)
    closed = {(device, model.name) for model in models for device in model.alone}
    return any(
        device in other.devices and owner != other.name
        for device, owner in closed
        for other in models
    )


def decide(
    models: Iterable[Candidate],
    budgets: Mapping[str, int],
    *,
    now: float,
    min_residency_s: float,
) -> Decision:
    """Starts, stops and closed models for this instant."""
    table = {model.name: model for model in models}
    work = _Round(table, budgets, now, min_residency_s)
    for model in table.values():
        work.unload_idle(model)
    work.shrink()
    waiting = [
        m for m in table.values() if m.state is State.STOPPED and m.waiting_since is not None
    ]
    for model in sorted(waiting, key=lambda m: (m.waiting_since or 0.0, m.name)):
        work.serve(model)
    return work.decision()


class _Round:
    """One call of `decide`. `now_loaded` claims memory at this instant; `later` will, once what
    was decided for those who wait longer has come about."""

    def __init__(
        self,
        table: Mapping[str, Candidate],
        budgets: Mapping[str, int],
        now: float,
        min_residency_s: float,
    ) -> None:
        self.table = table
        self.budgets = budgets
        self.now = now
        self.min_residency_s = min_residency_s
        self.now_loaded = {m.name for m in table.values() if m.state in OCCUPYING}
        leaving = {State.DRAINING, State.STOPPING}
        self.later = {n for n in self.now_loaded if table[n].state not in leaving}
        self.promised = set[str]()
        self.start = list[str]()
        self.stop = list[str]()
        self.closed = set[str]()
        self.impossible = dict[str, str]()
        self.wakes = list[float]()

    def unload_idle(self, model: Candidate) -> None:
        """Stop it when nobody used it for its `ttl`."""
        if model.state is not State.READY or model.busy or model.ttl_s is None:
            return
        if model.waiting_since is not None:
            return
        if self.now >= model.idle_since + model.ttl_s:
            self._evict(model.name)
        else:
            self.wakes.append(model.idle_since + model.ttl_s)

    def shrink(self) -> None:
        """Make room when what stays loaded is more than the budgets have."""
        victims = self._victims(self.later)
        if victims:
            self.later = self.later - set(victims)
            self._make_room(victims)

    def serve(self, model: Candidate) -> None:
        """Start it, or make room for it, or leave it waiting."""
        reason = self._never_fits(model)
        if reason is not None:
            self.impossible[model.name] = reason
            return
        victims = self._victims(self.later | {model.name})
        if victims is None:
            return  # those who wait longer come first
        self.later = (self.later - set(victims)) | {model.name}
        self.promised.add(model.name)
        if victims:
            self._make_room(victims)
        elif self._fits(self.now_loaded | {model.name}):
            self.start.append(model.name)
            self.now_loaded.add(model.name)

    def decision(self) -> Decision:
        """What was decided."""
        return Decision(
            tuple(self.start),
            tuple(self.stop),
            frozenset(self.closed),
            self.impossible,
            min(self.wakes, default=None),
        )

    def _fits(self, names: Iterable[str]) -> bool:
        models = [self.table[name] for name in names]
        if _crowded(models):
            return False
        claims = [model.claims for model in models]
        return all(claimed_bytes(claims, pool) <= size for pool, size in self.budgets.items())

    def _never_fits(self, model: Candidate) -> str | None:
        if not self._fits({model.name}):
            return "it claims more memory than the budget has"
        staying = {n for n in self.later if self.table[n].permanent}
        if self._fits(staying | {model.name}):
            return None
        names = ", ".join(f"`{name}`" for name in sorted(staying))
        return f"it does not fit beside {names}, never unloaded for others"

    def _expires(self, model: Candidate) -> float:
        """When it may be evicted; unknown while it is still starting."""
        if model.state is not State.READY:
            return float("inf")
        return model.ready_since + self.min_residency_s

    def _cost(self, model: Candidate) -> tuple[int, float]:
        """Cheapest first: idle ones by last use; closed, then other busy ones by age; then those
        whose time has not come yet, by when it comes."""
        expires = self._expires(model)
        if expires > self.now:
            return 3, expires
        if not model.busy:
            return 0, model.idle_since
        return (1 if model.closed else 2), model.ready_since

    def _victims(self, kept: set[str]) -> list[str] | None:
        """The cheapest models whose going lets the rest of `kept` fit; `None` if even all would
        not do."""
        if self._fits(kept):
            return []
        evictable = [
            self.table[name]
            for name in self.later - self.promised
            if not self.table[name].permanent
        ]
        chosen = list[str]()
        for victim in sorted(evictable, key=lambda m: (self._cost(m), m.name)):
            chosen.append(victim.name)
            if self._fits(kept - set(chosen)):
                break
        else:
            return None
        for name in reversed(chosen[:-1]):
            fewer = [other for other in chosen if other != name]
            if self._fits(kept - set(fewer)):
                chosen = fewer
        return chosen

    def _make_room(self, victims: list[str]) -> None:
        """Evict all victims once all are idle and have had their time; close them before that."""
        until = max(self._expires(self.table[name]) for name in victims)
        if until > self.now:
            if until != float("inf"):
                self.wakes.append(until)
            return
        if any(self.table[name].busy for name in victims):
            self.closed.update(victims)
            return
        for name in victims:
            self._evict(name)

    def _evict(self, name: str) -> None:
        self.stop.append(name)
        self.later.discard(name)
