"""What the lifecycle keeps of one model."""

import asyncio
from math import ceil

from llmdecl.router.config import ModelConfig
from llmdecl.router.events import OCCUPYING, Limits, Process, State, Then
from llmdecl.router.placement import Verdict
from llmdecl.router.ports import Lease
from llmdecl.router.scheduler import Candidate

Waiter = asyncio.Future[Lease]


class Resident:
    """One model: its configuration, its process, who uses it and who waits for it.

    `config` is what it should be, `loaded` what its process was started as (`None` without one).
    Times are seconds of the loop's clock.
    """

    def __init__(self, config: ModelConfig, socket: str, now: float) -> None:
        self.config = config
        self.socket = socket
        self.process = Process(since=now)
        self.loaded: ModelConfig | None = None
        self.digest: str | None = None
        """As in the process's own environment."""
        self.leases = set[Lease]()
        self.queue = dict[Waiter, float]()
        """Who waits, oldest first, and since when."""
        self.admits = False
        """Ready, open, and the router is not draining: a lease costs nothing but this look."""
        self.closed = False
        self.unsettled = False
        """Slots may be busy with requests whose clients are gone."""
        self.wished_since: float | None = None
        """An operator, a restart or `load = "startup"` wants it loaded without a request."""
        self.wanted_at = now
        self.ready_since = now
        self.idle_since = now
        self.load_s: float | None = None
        self.verdict: Verdict | None = None
        """What its engine's log says of where it is; `None` until it was read."""
        self.removed = False
        self.ran_before_hold = False
        self.note = ""
        """Why it can't be loaded, where that is not a fault of its process."""
        self.changed = asyncio.Event()
        """Set, and replaced by a new one, at each change of state."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def state(self) -> State:
        """The process's state."""
        return self.process.state

    @property
    def busy(self) -> bool:
        """Something is in flight, or may be."""
        return bool(self.leases) or self.unsettled

    @property
    def held(self) -> bool:
        """An operator holds it back, or will once its process is gone."""
        return self.state is State.HELD or self.process.then is Then.HOLD

    @property
    def occupies(self) -> bool:
        """It has, or may have, a process."""
        return self.process.state in OCCUPYING

    def limits(self, drain_timeout_s: float) -> Limits:
        """Bounds of its waits."""
        return Limits(self.config.start_timeout_s, drain_timeout_s)

    def waiting_since(self) -> float | None:
        """When the oldest request in the queue came, or the wish."""
        oldest = next(iter(self.queue.values()), None)
        if oldest is None or self.wished_since is None:
            return self.wished_since if oldest is None else oldest
        return min(oldest, self.wished_since)

    def candidate(self) -> Candidate:
        """What the scheduler needs to know."""
        acting = self.loaded or self.config
        return Candidate(
            name=self.name,
            state=self.state,
            claims=acting.claims,
            devices=acting.devices,
            alone=self.config.alone,
            permanent=self.config.load == "startup" or self.config.ttl_s is None,
            ttl_s=self.config.ttl_s,
            busy=self.busy,
            closed=self.closed,
            waiting_since=None if self.removed else self.waiting_since(),
            idle_since=self.idle_since,
            ready_since=self.ready_since,
        )

    def idle_unload_at(self) -> float | None:
        """When its `ttl` ends; `None` while it is used, not loaded, or never unloaded."""
        if self.state is not State.READY or self.busy or self.config.ttl_s is None:
            return None
        return self.idle_since + self.config.ttl_s

    def retry_after_s(self, now: float) -> int:
        """Seconds until the back-off is over, rounded up."""
        return max(1, ceil((self.process.deadline or now) - now))

    def tell_change(self) -> None:
        """Wake who waits for a change of state."""
        self.changed.set()
        self.changed = asyncio.Event()
