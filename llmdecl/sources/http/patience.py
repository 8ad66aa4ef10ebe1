"""How often and how long: tries, waits and time limits. Pure but for what is handed in."""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of one run. Tests hand in clocks and dice of their own.

    `tries` count from the last progress of at least `progress_bytes`; `connect_tries` are for a
    server that was not reached at all.
    """

    tries: int = 6
    connect_tries: int = 3
    progress_bytes: int = 1 << 20
    base_delay_s: float = 0.5
    max_delay_s: float = 30.0
    max_retry_after_s: float = 330.0
    """Longer than the windows of 300 s by which Hugging Face counts requests."""
    connect_s: float = 10.0
    read_s: float = 30.0
    slow_bytes_per_s: int = 512
    slow_s: float = 60.0
    """A stream that brings less than `slow_bytes_per_s` for so long counts as broken."""
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random
    """From 0 to below 1."""
    sleep: Callable[[float], None] | None = None
    """Instead of a wait that `Web.stop` ends."""

    def delay_s(self, tries: int, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait after the `tries`th try; `None` when the server asks for too long.

        Exponential with full jitter over its upper half, never shorter than what was asked for.
        """
        bound = min(self.max_delay_s, self.base_delay_s * float(1 << min(tries - 1, 16)))
        delay = bound * (0.5 + 0.5 * self.dice())
        if retry_after_s is None:
            return delay
        if retry_after_s > self.max_retry_after_s:
            return None
        return retry_after_s + self.base_delay_s * self.dice() if retry_after_s > delay else delay


_RATE_LIMIT = re.compile(r";\s*r\s*=\s*0+\s*;\s*t\s*=\s*(\d{1,9})(?!\d)")


def asked_wait_s(status: int, headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that an answer asks to wait; names of `headers` are in lower case.

    Hugging Face says with a status of 429 when its window ends, in `RateLimit` by IETF's draft
    (`"api";r=0;t=55`; huggingface_hub's utils/_http.py), and `Retry-After` is everybody's.
    """
    if status == 429 and (found := _RATE_LIMIT.findall(headers.get("ratelimit", ""))):
        return max(float(each) for each in found) + 1  # it is rounded down
    return retry_after_s(headers.get("retry-after"), now)


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds that `Retry-After` asks for: a number or a date by RFC 9110; never below 0."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
