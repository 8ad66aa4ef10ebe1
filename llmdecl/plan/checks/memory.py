"""Memory: a model alone, the residents together, the others beside them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from llmdecl.diagnostics import Diagnostic
from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import MemoryPart
from llmdecl.plan import rules
from llmdecl.plan.checks.remedies import Attempt, Refit, remedies
from llmdecl.plan.subject import HostPlan, Subject
from llmdecl.units import format_bytes

MODELS_WITH_HELP = 3
OFFERS_EACH = 2


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
        help=tuple(remedies(Attempt(subject, refit))),
    )


def check_residents(
    subjects: Sequence[Subject], host: HostPlan, refit: Refit
) -> Iterator[Diagnostic]:
    """Those that are loaded at start or never unloaded, together; then the others beside those
    that are never unloaded. Models that are too large alone are reported already."""
    possible = [s for s in subjects if shortage(s, s.memory) is None]
    residents = [s for s in possible if s.resident]
    if not residents:
        return
    pool = shortage(residents[0], [part for s in residents for part in s.memory])
    if pool is not None:
        yield _together(residents, host, pool, refit)
        return
    pinned = [s for s in residents if s.life.ttl_s is None]
    for subject in possible:
        if subject in pinned or not pinned:
            continue
        beside = [part for s in (*pinned, subject) for part in s.memory]
        pool = shortage(subject, beside)
        if pool is not None:
            of = "memory" if pool == "host" else f"`{pool}`"
            fixed = [part for s in pinned for part in s.memory]
            attempt = Attempt(subject, refit, lambda again, f=fixed: _least_left(again, f))  # type: ignore[misc]
            yield rules.NO_ROOM_BESIDE.at(
                subject.pick.address("source"),
                f"`{subject.name}` and the models that are never unloaded need "
                f"{format_bytes(total_bytes(beside, pool))} of {of}, "
                f"{format_bytes(host.pool_bytes(pool))} are there for models",
                notes=tuple(_resident_note(s, pool) for s in (subject, *pinned)),
                help=tuple(remedies(attempt)),
            )


def _together(residents: Sequence[Subject], host: HostPlan, pool: str, refit: Refit) -> Diagnostic:
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
        help=tuple(_for_one(residents, refit)),
    )


def _for_one(residents: Sequence[Subject], refit: Refit) -> Iterator[str]:
    """Changes of one resident that let all of them fit, the largest model's first."""
    by_size = sorted(residents, key=lambda s: (-sum(part.bytes for part in s.memory), s.name))
    for subject in by_size[:MODELS_WITH_HELP]:
        others = [part for s in residents if s is not subject for part in s.memory]
        attempt = Attempt(subject, refit, lambda again, others=others: _least_left(again, others))  # type: ignore[misc]
        for text in islice(remedies(attempt), OFFERS_EACH):
            yield f"for `{subject.name}`: {text}"


def _least_left(subject: Subject, others: Sequence[MemoryPart]) -> int:
    parts = (*others, *subject.memory)
    return min(
        subject.host.pool_bytes(pool) - total_bytes(parts, pool)
        for pool in dict.fromkeys(part.pool for part in parts)
    )


def _resident_note(subject: Subject, pool: str) -> str:
    life = (
        "never unloaded" if subject.life.ttl_s is None else f"loaded on {subject.life.load.value}"
    )
    return f"`{subject.name}` {format_bytes(total_bytes(subject.memory, pool))}, {life}"
