"""How a model lives: when it is loaded and unloaded, and what requests get by default."""

from dataclasses import dataclass

from llmdecl.engines.choice import Choice, Chooser
from llmdecl.plan.model import SamplingPlan
from llmdecl.spec.schema import Sampling
from llmdecl.units import format_duration

TTL_DEFAULT_S = 900.0
"""Idle time until unload when the spec doesn't say: a quarter of an hour."""

START_TIMEOUT_BASE_S = 60.0
READ_BYTES_PER_S = 100_000_000
"""A slow disk: the slowest that a start waits for."""

SAMPLING_KEYS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repeat_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "max_tokens": "max_tokens",
}
"""The spec's keys to llama-server's request keys."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`ttl_s` is `None` for never."""

    ttl: Choice[float] | Choice[str]
    load: Choice[str]
    start_timeout: Choice[float]
    sampling: tuple[SamplingPlan, ...]
    system_prompt: Choice[str] | None

    @property
    def ttl_s(self) -> float | None:
        """Idle seconds until unload."""
        return None if isinstance(self.ttl.value, str) else float(self.ttl.value)


def decide_lifecycle(pick: Chooser, *, weights_bytes: int) -> Lifecycle:
    """Lifecycle and request defaults of one model; none of it restarts a process."""
    reading = float(round(weights_bytes / READ_BYTES_PER_S))
    timeout = START_TIMEOUT_BASE_S + reading
    why = f"a minute, and {format_duration(reading)} to read the weights from a slow disk"
    return Lifecycle(
        ttl=_ttl(pick),
        load=pick.pick("load", default="demand", why="the first request loads it"),
        start_timeout=pick.pick("start-timeout", default=timeout, why=why),
        sampling=_sampling(pick),
        system_prompt=pick.given("system-prompt", str),
    )


def _ttl(pick: Chooser) -> Choice[float] | Choice[str]:
    given = pick.given("ttl", object)
    if given is None:
        why = f"default: unloaded after {format_duration(TTL_DEFAULT_S)} without a request"
        return Choice(TTL_DEFAULT_S, pick.address("ttl"), why)
    if isinstance(given.value, float | int):
        return given.but(float(given.value), given.reason)
    return given.but("never", given.reason)


def _sampling(pick: Chooser) -> tuple[SamplingPlan, ...]:
    """The model's own table, key by key over the defaults'."""
    values: dict[str, float | int] = {}
    for table in (pick.defaults.sampling if pick.defaults else None, pick.model.sampling):
        if table is not None:
            values |= _given(table)
    return tuple(SamplingPlan(key=key, value=value) for key, value in sorted(values.items()))


def _given(table: Sampling) -> dict[str, float | int]:
    found = {key: getattr(table, attribute) for attribute, key in SAMPLING_KEYS.items()}
    return {key: value for key, value in found.items() if value is not None}
