"""A model's states, and what the state machine hears (events) and asks for (effects)."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class State(StrEnum):
    """`STARTING`, `READY`, `DRAINING` and `STOPPING` have, or may have, a process."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    HELD = "held"
    BACKOFF = "backoff"


OCCUPYING = frozenset({State.STARTING, State.READY, State.DRAINING, State.STOPPING})
"""States that claim memory: "free again" means the process is gone."""


class Then(Enum):
    """What comes once the process is gone."""

    REST = "rest"
    HOLD = "hold"
    BACK_OFF = "back off"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one model's waits, in seconds."""

    start_s: float
    drain_s: float
    stop_s: float = 6.0
    """After supervisord's own `stopwaitsecs` of 5 s."""
    cut_s: float = 1.0
    """Instead, when the drain time-out has passed: llama-server stops computing at TERM, but waits
    for the clients that it has."""


@dataclass(frozen=True, slots=True)
class Process:
    """One model's process. `deadline` is when `Overdue` is due; `generation` counts the starts.

    `pid` is `None` while supervisord has not yet said which. `failures` counts starts in a row
    that failed, `crashes` all deaths of a ready process.
    """

    state: State = State.STOPPED
    pid: int | None = None
    generation: int = 0
    since: float = 0.0
    deadline: float | None = None
    then: Then = Then.REST
    failures: int = 0
    crashes: int = 0
    adopted: bool = False
    error: str = ""


# --- events


@dataclass(frozen=True, slots=True)
class Wanted:
    """The scheduler has made room: start it."""


@dataclass(frozen=True, slots=True)
class Found:
    """At the router's start, supervisord already runs it."""

    pid: int


@dataclass(frozen=True, slots=True)
class Spawned:
    """Supervisord started it."""

    pid: int


@dataclass(frozen=True, slots=True)
class NotSpawned:
    """It could not be started; `unavailable`: supervisord itself did not answer."""

    reason: str
    unavailable: bool = False


@dataclass(frozen=True, slots=True)
class Healthy:
    """`GET /health` answered 200."""

    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone."""

    pid: int


@dataclass(frozen=True, slots=True)
class Overdue:
    """`deadline` has passed."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is in flight any more."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Idle, evicted, changed, removed, or asked to by an operator; `then` is `REST` or `HOLD`."""

    then: Then = Then.REST


@dataclass(frozen=True, slots=True)
class Released:
    """A hold is over."""


Event = (
    Wanted
    | Found
    | Spawned
    | NotSpawned
    | Healthy
    | Exited
    | Overdue
    | Drained
    | StopRequested
    | Released
)


# --- effects


@dataclass(frozen=True, slots=True)
class StartProgram:
    """Unlink the stale socket and have supervisord start the program; ends in `Spawned` or
    `NotSpawned`, always."""


@dataclass(frozen=True, slots=True)
class WatchExit:
    """Say `Exited(pid)` when it is gone."""

    pid: int


@dataclass(frozen=True, slots=True)
class PollHealth:
    """Say `Healthy(pid)` when it answers."""

    pid: int


@dataclass(frozen=True, slots=True)
class CloseUpstreams:
    """Close pooled connections: TERM waits for them otherwise."""


@dataclass(frozen=True, slots=True)
class StopProgram:
    """Have supervisord send TERM."""

    pid: int


@dataclass(frozen=True, slots=True)
class KillProcess:
    """TERM did not end it: send KILL."""

    pid: int


@dataclass(frozen=True, slots=True)
class RefuseWaiting:
    """The start failed: waiting requests get 502, or 503 when supervisord is `unavailable`."""

    reason: str
    unavailable: bool = False


Effect = (
    StartProgram
    | WatchExit
    | PollHealth
    | CloseUpstreams
    | StopProgram
    | KillProcess
    | RefuseWaiting
)
Step = tuple[Process, tuple[Effect, ...]]
