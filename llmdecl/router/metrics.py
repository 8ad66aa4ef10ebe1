"""Counts of what the router does: plain integers while it works, Prometheus's text when asked.

Labels are bounded: `model` is a configured name or empty, `code` an HTTP status.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_TTFT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_DURATION_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
CLIENT_LEFT = 499
"""The status that is counted when a client left before its answer's end."""


class Histogram:
    """Observations by upper bound, in seconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Cumulated, as Prometheus wants them."""
        count = 0
        for bound, more in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += more
            yield bound, count


@dataclass(slots=True, eq=False)
class ModelCounts:
    """What happened to one model. `swap` counters are the lifecycle's."""

    in_flight: int = 0
    queued: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    retries: int = 0
    starts: int = 0
    failed_starts: int = 0
    evictions: int = 0
    unloads: int = 0
    misplaced: bool | None = None
    """Whether its engine reports another placement than planned; `None`: not loaded, or unknown."""
    memory: Mapping[str, int] = field(default_factory=dict)
    """Bytes by pool that its engine reports."""
    codes: Counter[int] = field(default_factory=Counter)
    ttft: Histogram = field(default_factory=lambda: Histogram(_TTFT_S))
    duration: Histogram = field(default_factory=lambda: Histogram(_DURATION_S))


class Metrics:
    """Counts by model name; requests that never found a model are under the empty name."""

    __slots__ = ("models",)

    def __init__(self) -> None:
        self.models: dict[str, ModelCounts] = {"": ModelCounts()}

    def of(self, model: str) -> ModelCounts:
        """The counts of a model, made when first asked for: ask only with configured names."""
        counts = self.models.get(model)
        if counts is None:
            counts = self.models[model] = ModelCounts()
        return counts

    def keep(self, names: Iterable[str]) -> None:
        """Forget models that are no longer configured and have nothing in flight."""
        kept = frozenset(names) | {""}
        self.models = {
            name: counts
            for name, counts in self.models.items()
            if name in kept or counts.in_flight or counts.queued
        }

    def render(self, states: Mapping[str, str], connections: int) -> bytes:
        """Prometheus's text format; `states` by model name."""
        from prometheus_client import CollectorRegistry, generate_latest  # 40 ms at start

        registry = CollectorRegistry()
        registry.register(_Collector(self, states, connections))
        return generate_latest(registry)


_COUNTERS = {
    "bytes_in": "Bytes of request bodies",
    "bytes_out": "Bytes of answers",
    "retries": "Requests sent again because a pooled connection or a process had gone",
    "starts": "Starts of the model's process",
    "failed_starts": "Starts that failed",
    "evictions": "Stops to make room for another model",
    "unloads": "Stops because of idleness",
}
_GAUGES = {
    "in_flight": "Requests between admission and last byte",
    "queued": "Requests that wait for their model",
}
_PREFIX = "llmdecl_router"


class _Collector:
    """All metrics of one scrape."""

    def __init__(self, metrics: Metrics, states: Mapping[str, str], connections: int) -> None:
        self._metrics = metrics
        self._states = states
        self._connections = connections

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.core import (  # 40 ms at start
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        models = self._metrics.models
        requests = CounterMetricFamily(
            f"{_PREFIX}_requests", "Requests answered", labels=("model", "code")
        )
        for name, counts in models.items():
            for code, value in counts.codes.items():
                requests.add_metric((name, str(code)), value)
        yield requests
        named = {name: counts for name, counts in models.items() if name}
        for key, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"{_PREFIX}_{key}", text, labels=("model",))
            for name, counts in named.items():
                counter.add_metric((name,), getattr(counts, key))
            yield counter
        for key, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"{_PREFIX}_{key}", text, labels=("model",))
            for name, counts in named.items():
                gauge.add_metric((name,), getattr(counts, key))
            yield gauge
        yield from self._placements(named)
        for key, text in (("ttft", "To the first byte"), ("duration", "To the last byte")):
            family = HistogramMetricFamily(f"{_PREFIX}_{key}_seconds", text, labels=("model",))
            for name, counts in named.items():
                histogram: Histogram = getattr(counts, key)
                family.add_metric((name,), list(histogram.buckets()), histogram.total)
            yield family
        state = GaugeMetricFamily(
            f"{_PREFIX}_model_state", "1 for the state it is in", labels=("model", "state")
        )
        for name, word in self._states.items():
            state.add_metric((name, word), 1)
        yield state
        yield GaugeMetricFamily(
            f"{_PREFIX}_connections", "Open client connections", self._connections
        )

    def _placements(self, named: Mapping[str, ModelCounts]) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily  # 40 ms at start

        mismatch = GaugeMetricFamily(
            "llmdecl_model_placement_mismatch",
            "1 when the engine reports other devices, layers or sizes than planned",
            labels=("model",),
        )
        memory = GaugeMetricFamily(
            "llmdecl_model_memory_bytes",
            "Bytes that the engine reports for a loaded model",
            labels=("model", "pool"),
        )
        for name, counts in named.items():
            if counts.misplaced is not None:
                mismatch.add_metric((name,), int(counts.misplaced))
            for pool, size in counts.memory.items():
                memory.add_metric((name, pool), size)
        yield mismatch
        yield memory
