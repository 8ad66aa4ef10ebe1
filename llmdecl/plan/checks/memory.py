"""Memory: a model alone, the residents together, the others beside them."""

from collections.abc import Callable, Iterator, Sequence

from llmdecl.diagnostics import Diagnostic
from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import MemoryPart
from llmdecl.memory.parameters import CONTEXT_STEP
from llmdecl.plan import rules
from llmdecl.plan.subject import HostPlan, Subject
from llmdecl.spec.schema import Model
from llmdecl.units import format_bytes

Refit = Callable[[Subject, Model], Subject]
"""A model with another spec, placed anew beside the same neighbours: the same rules, run again."""


def ledger_note(parts: Sequence[MemoryPart], pool: str = "host") -> str:
    """`weights 88.2 MiB, kv-cache 180.0 MiB, ...`, largest first; a device's begin with its id."""
    here = [part for part in parts if part.pool == pool]
    ranked = sorted(here, key=lambda part: (-part.bytes, part.part))
    text = ", ".join(f"{part.part} {format_bytes(part.bytes)}" for part in ranked)
    return text if pool == "host" else f"{pool}: {text}"


def budget_note(host: HostPlan, pool: str = "host") -> str:
    """How much models may use, and why."""
    budget = next(each for each in host.budgets if each.pool == pool)
    if pool != "host":
        return (
            f"{pool} may give {format_bytes(max(0, budget.bytes))}: "
            f"{format_bytes(budget.total_bytes)}, "
            f"{format_bytes(budget.margin_bytes)} kept as `vram-margin`"
        )
    origin = "declared" if host.ram_address else "detected"
    return (
        f"the host may give {format_bytes(max(0, budget.bytes))}: "
        f"{format_bytes(budget.total_bytes)} {origin}, "
        f"{format_bytes(budget.margin_bytes)} kept as `ram-margin`"
    )


def shortage(subject: Subject, parts: Sequence[MemoryPart]) -> str | None:
    """The pool that lacks most when `parts` are all that is loaded; `None`: all hold."""
    host = subject.host
    lacks = {
        pool: total_bytes(parts, pool) - host.pool_bytes(pool)
        for pool in dict.fromkeys(part.pool for part in parts)
    }
    pool = max(lacks, key=lambda pool: (lacks[pool], pool), default=None)
    return pool if pool is not None and lacks[pool] > 0 else None


def check_alone(subject: Subject, refit: Refit) -> Iterator[Diagnostic]:
    """A model that no unloading of others could make room for."""
    pool = shortage(subject, subject.memory)
    if pool is None:
        return
    need, budget = total_bytes(subject.memory, pool), subject.host.pool_bytes(pool)
    rule, of = rules.RAM_OVERCOMMIT, "memory"
    if pool != "host":
        rule, of = rules.VRAM_OVERCOMMIT, f"`{pool}`"
    others = [other for other in subject.pools if other != pool]
    yield rule.at(
        subject.server.context.ctx_request.address
        if subject.server.context.ctx_request.given
        else subject.pick.address("source"),
        f"`{subject.name}` needs {format_bytes(need)} of {of}, "
        f"{format_bytes(max(0, budget))} are there for models",
        notes=(
            *(ledger_note(subject.memory, each) for each in (pool, *others)),
            budget_note(subject.host, pool),
        ),
        help=tuple(_remedies(subject, refit)),
    )


def _remedies(subject: Subject, refit: Refit) -> Iterator[str]:
    """Single changes, each computed to fit: a smaller context, quantised caches, fewer slots."""

    def fits(**changes: object) -> int | None:
        again = refit(subject, subject.model.model_copy(update=changes))
        spare = min(again.left.values())
        return spare if spare >= 0 else None

    context = subject.server.context
    step = _largest(
        context.ctx_request.value // CONTEXT_STEP,
        lambda steps: fits(ctx_size=steps * CONTEXT_STEP) is not None,
    )
    if step:
        spare = fits(ctx_size=step * CONTEXT_STEP)
        yield _fits(f"`ctx-size = {step * CONTEXT_STEP}`", spare or 0)
    if context.cache_type_k.value == context.cache_type_v.value == "f16":
        spare = fits(cache_type_k="q8_0", cache_type_v="q8_0")
        if spare is not None and context.flash_attn.value:
            yield _fits('`cache-type-k = "q8_0"` with `cache-type-v = "q8_0"`', spare)
    slots = context.parallel.value
    fewer = _largest(slots - 1, lambda count: fits(parallel=count) is not None)
    if fewer:
        yield _fits(f"`parallel = {fewer}`", fits(parallel=fewer) or 0)


def _fits(change: str, spare: int) -> str:
    return f"{change} fits, with {format_bytes(spare)} to spare"


def _largest(limit: int, good: Callable[[int], bool]) -> int:
    """The largest number from 1 to `limit` that is good, 0 if none; goodness falls with size."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return low


def check_residents(subjects: Sequence[Subject], host: HostPlan) -> Iterator[Diagnostic]:
    """Those that are loaded at start or never unloaded, together; then the others beside those
    that are never unloaded. Models that are too large alone are reported already."""
    possible = [s for s in subjects if shortage(s, s.memory) is None]
    residents = [s for s in possible if s.resident]
    if not residents:
        return
    pool = shortage(residents[0], [part for s in residents for part in s.memory])
    if pool is not None:
        yield _together(residents, host, pool)
        return
    pinned = [s for s in residents if s.life.ttl_s is None]
    for subject in possible:
        if subject in pinned or not pinned:
            continue
        beside = [part for s in (*pinned, subject) for part in s.memory]
        pool = shortage(subject, beside)
        if pool is not None:
            of = "memory" if pool == "host" else f"`{pool}`"
            yield rules.NO_ROOM_BESIDE.at(
                subject.pick.address("source"),
                f"`{subject.name}` and the models that are never unloaded need "
                f"{format_bytes(total_bytes(beside, pool))} of {of}, "
                f"{format_bytes(host.pool_bytes(pool))} are there for models",
                notes=tuple(_resident_note(s, pool) for s in (subject, *pinned)),
            )


def _together(residents: Sequence[Subject], host: HostPlan, pool: str) -> Diagnostic:
    together = total_bytes([part for s in residents for part in s.memory], pool)
    largest = max(residents, key=lambda s: (total_bytes(s.memory, pool), s.name))
    life = largest.life
    at = life.load if life.load.value == "startup" else life.ttl
    of = "memory" if pool == "host" else f"`{pool}`"
    return rules.RESIDENTS_OVERCOMMIT.at(
        at.address,
        f"{len(residents)} resident models need {format_bytes(together)} of {of} together, "
        f"{format_bytes(host.pool_bytes(pool))} are there for models",
        notes=(*(_resident_note(s, pool) for s in residents), budget_note(host, pool)),
    )


def _resident_note(subject: Subject, pool: str) -> str:
    life = (
        "never unloaded" if subject.life.ttl_s is None else f"loaded on {subject.life.load.value}"
    )
    return f"`{subject.name}` {format_bytes(total_bytes(subject.memory, pool))}, {life}"
