"""What would make a model fit: single changes, each planned again before it is offered.

In the order of what they cost the user: cache types, context, slots, layers or experts on the
CPU, another quantization that is beside the file, another device.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmdecl.diagnostics import Severity
from llmdecl.facts.model import GgufFacts, OtherWeights
from llmdecl.memory.parameters import CONTEXT_STEP
from llmdecl.plan.checks.table import OF_SIZE
from llmdecl.plan.model import PlacementPlan
from llmdecl.plan.subject import Subject
from llmdecl.spec.schema import Model
from llmdecl.units import format_bytes

Refit = Callable[[Subject, Model, GgufFacts | None], Subject]
"""A model with another spec, or another header, placed anew beside the same neighbours."""

Fits = Callable[[Subject], int]
"""Bytes that the scarcest pool has left, below 0 when it lacks some."""

SMALLER_CACHES = ("q8_0", "q4_0")
MANY = 3
"""Offers of one kind that are shown."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model, and how to try it otherwise. `fits` judges; by default the model beside its
    permanent neighbours."""

    subject: Subject
    refit: Refit
    fits: Fits = lambda subject: min(subject.left.values())

    def spare(self, changes: Mapping[str, object], gguf: GgufFacts | None = None) -> int | None:
        """Bytes to spare with these keys of the spec changed; `None`: it still does not fit."""
        left = self._left(self.again(changes, gguf))
        return left if left >= 0 else None

    def _left(self, again: Subject) -> int:
        """Bytes to spare, below 0 as well for what `check` would refuse for another reason."""
        refused = _errors(again) - _errors(self.subject)
        return -1 if refused else self.fits(again)

    def again(self, changes: Mapping[str, object], gguf: GgufFacts | None = None) -> Subject:
        """The model planned with these keys."""
        return self.refit(self.subject, self.subject.model.model_copy(update=dict(changes)), gguf)

    def offer(
        self, text: str, changes: Mapping[str, object], gguf: GgufFacts | None = None
    ) -> str | None:
        """The change in words, when it fits."""
        again = self.again(changes, gguf)
        left = self._left(again)
        if left < 0:
            return None
        where = describe(again.placement)
        return f"{text} fits{where}, with {format_bytes(left)} to spare"


def _errors(subject: Subject) -> set[tuple[str, str]]:
    found = (problem for check in OF_SIZE for problem in check(subject))
    return {(p.code, p.address) for p in found if p.severity is Severity.ERROR}


def describe(placement: PlacementPlan) -> str:
    """Where it goes then, if devices take part: ` on gpu0`, ` with 20 of 33 layers on gpu0`."""
    if not placement.devices or not placement.n_gpu_layers:
        return ""
    names = " and ".join(placement.devices)
    layers = min(placement.n_gpu_layers, placement.n_layers)
    if layers < placement.n_layers:
        return f" with {layers} of {placement.n_layers} layers on {names}"
    experts = f", experts of {placement.n_cpu_moe} layers on the CPU" if placement.n_cpu_moe else ""
    return f" on {names}{experts}"


def remedies(attempt: Attempt) -> Iterator[str]:
    """Every single change that was found to fit; pairs only where no single one does."""
    found = False
    for remedy in REMEDIES:
        for text in remedy(attempt):
            found = True
            yield text
    if not found:
        yield from _pairs(attempt)


def _caches(attempt: Attempt) -> Iterator[str]:
    context = attempt.subject.server.context
    if not context.flash_attn.value or not attempt.subject.server.shape.attends:
        return
    for kind in SMALLER_CACHES:
        if context.cache_type_k.value != "f16" or context.cache_type_v.value != "f16":
            return
        text = f'`cache-type-k = "{kind}"` with `cache-type-v = "{kind}"`'
        offer = attempt.offer(text, _cache_types(kind))
        if offer is not None:
            yield offer
            return


def _cache_types(kind: str) -> dict[str, object]:
    return {"cache_type_k": kind, "cache_type_v": kind}


def _context(attempt: Attempt) -> Iterator[str]:
    steps = _largest_context(attempt, {})
    if steps:
        size = steps * CONTEXT_STEP
        offer = attempt.offer(f"`ctx-size = {size}`", {"ctx_size": size})
        if offer is not None:
            yield offer


def _largest_context(attempt: Attempt, beside: Mapping[str, object]) -> int:
    """In steps of 256 tokens, less than what is asked for."""
    asked = attempt.subject.server.context.ctx_request.value
    return largest(
        (asked - 1) // CONTEXT_STEP,
        lambda steps: attempt.spare({**beside, "ctx_size": steps * CONTEXT_STEP}) is not None,
    )


def _slots(attempt: Attempt) -> Iterator[str]:
    slots = attempt.subject.server.context.parallel.value
    fewer = largest(slots - 1, lambda count: attempt.spare({"parallel": count}) is not None)
    if fewer:
        offer = attempt.offer(f"`parallel = {fewer}`", {"parallel": fewer})
        if offer is not None:
            yield offer


def _placement(attempt: Attempt) -> Iterator[str]:
    """What the spec fixes, left to the plan: experts first, then layers."""
    model = attempt.subject.model
    if model.n_gpu_layers not in (None, "auto") and not model.override_tensor:
        free = {"n_gpu_layers": "auto", "tensor_split": None, "main_gpu": None}
        if model.cpu_moe is None and model.n_cpu_moe is None:
            offer = attempt.offer('`n-gpu-layers = "auto"`', free)
            if offer is not None:
                yield offer
                return
    if model.n_cpu_moe is not None or model.cpu_moe is not None:
        changes = {"n_cpu_moe": None, "cpu_moe": None}
        offer = attempt.offer("leaving out `n-cpu-moe` and `cpu-moe`", changes)
        if offer is not None:
            yield offer
    elif model.tensor_split is not None:
        offer = attempt.offer("leaving out `tensor-split`", {"tensor_split": None})
        if offer is not None:
            yield offer


def _quantization(attempt: Attempt) -> Iterator[str]:
    """Files of the same model beside this one, or in its repository, the largest first."""
    weights = attempt.subject.weights
    smaller = [other for other in weights.others if other.size_bytes < weights.size_bytes]
    count = 0
    for other in sorted(smaller, key=lambda other: -other.size_bytes):
        changes: dict[str, object] = {"source": other.source}
        text = f'`source = "{other.source}"`'
        if other.quantization is not None:  # the word picks the file in the same repository
            changes = {"quantization": other.quantization}
            text = f'`quantization = "{other.quantization}"`'
        elif attempt.subject.model.quantization is not None:
            changes["quantization"] = kind = _file_type(other)
            text += f' with `quantization = "{kind}"`'
        text += f" ({_file_type(other)}, {format_bytes(other.size_bytes)})"
        offer = attempt.offer(text, changes, other.gguf)
        if offer is not None and count < MANY:
            count += 1
            yield offer


def _file_type(other: OtherWeights) -> str:
    return other.gguf.file_type_declared or other.gguf.file_type


def _devices(attempt: Attempt) -> Iterator[str]:
    """All devices that the engine reaches, where the spec names some; then each other alone."""
    subject = attempt.subject
    named = subject.model.devices
    if named is None:
        return
    free: dict[str, object] = {"tensor_split": None, "main_gpu": None}
    reach = [device.id for device in subject.reach]
    choices: Sequence[tuple[str, ...]] = [
        *((one,) for one in reach if (one,) != tuple(named)), tuple(reach),
    ]  # fmt: skip
    for choice in dict.fromkeys(choices):
        if set(choice) == set(named):
            continue
        words = ", ".join(f'"{one}"' for one in choice)
        offer = attempt.offer(f"`devices = [{words}]`", {**free, "devices": choice})
        if offer is not None:
            yield offer
            return


def _pairs(attempt: Attempt) -> Iterator[str]:
    """Smaller caches together with a smaller context."""
    context = attempt.subject.server.context
    if not context.flash_attn.value or context.cache_type_k.value != "f16":
        return
    kind = SMALLER_CACHES[0]
    steps = _largest_context(attempt, _cache_types(kind))
    if steps:
        size = steps * CONTEXT_STEP
        text = f'`ctx-size = {size}` with `cache-type-k = "{kind}"` and `cache-type-v = "{kind}"`'
        offer = attempt.offer(text, {**_cache_types(kind), "ctx_size": size})
        if offer is not None:
            yield offer


REMEDIES: tuple[Callable[[Attempt], Iterator[str]], ...] = (
    _caches, _context, _slots, _placement, _quantization, _devices,
)  # fmt: skip
"""In the order of what they cost."""


def largest(limit: int, good: Callable[[int], bool]) -> int:
    """The largest number from 1 to `limit` that is good, 0 if none; goodness falls with size."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return low
