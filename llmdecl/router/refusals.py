"""What a request is told that can't be served now."""

from math import ceil

from llmdecl.router.config import RouterConfig
from llmdecl.router.events import State
from llmdecl.router.ports import Refused
from llmdecl.router.resident import Resident

_WHY = {
    State.HELD: "it is held for maintenance",
    State.DRAINING: "its process is being replaced",
    State.STOPPING: "its process is being replaced",
}


def stopping() -> Refused:
    """The router admits nothing any more."""
    return Refused(503, "the router is stopping", retry_after_s=1)


def unknown(model: str) -> Refused:
    """A reload has removed it."""
    return Refused(503, f"`{model}` is no longer served")


def impossible(model: str, reason: str) -> Refused:
    """Waiting would not help, so there is no `Retry-After`."""
    return Refused(503, f"`{model}` can't be loaded: {reason}")


def backing_off(resident: Resident, now: float, log_tail: str) -> Refused:
    """Its start failed a moment ago."""
    reason = f"`{resident.name}` failed to start: {resident.process.error}"
    after = resident.retry_after_s(now)
    return Refused(503, reason, retry_after_s=after, log_tail=log_tail)


def not_started(
    resident: Resident, reason: str, now: float, *, unavailable: bool, log_tail: str
) -> Refused:
    """The start that it waited for has failed; 503 when supervisord is to blame."""
    return Refused(
        503 if unavailable else 502,
        f"`{resident.name}` could not be started: {reason}",
        retry_after_s=resident.retry_after_s(now) if resident.state is State.BACKOFF else 1,
        log_tail="" if unavailable else log_tail,
    )


def queue_full(resident: Resident, config: RouterConfig) -> Refused:
    """`queue-size` requests wait already."""
    reason = f"{len(resident.queue)} requests wait for `{resident.name}` already"
    return Refused(429, reason, retry_after_s=_turn_s(config))


def too_late(resident: Resident, config: RouterConfig) -> Refused:
    """It waited for `queue-timeout`."""
    why = _WHY.get(resident.state, "busy models are in its place")
    reason = f"waited {config.queue_timeout_s:g} s for `{resident.name}`: {why}"
    return Refused(503, reason, retry_after_s=_turn_s(config))


def again(refusal: Refused) -> Refused:
    """An exception of its own for each who is told the same."""
    return Refused(
        refusal.status,
        refusal.reason,
        retry_after_s=refusal.retry_after_s,
        log_tail=refusal.log_tail,
    )


def _turn_s(config: RouterConfig) -> int:
    """After so long, things may well have changed."""
    return max(1, ceil(min(config.min_residency_s, 60.0)))
