"""`alone`: a model that could never be loaded, because its device is somebody else's for good."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from llmdecl.diagnostics import Diagnostic
from llmdecl.plan import rules
from llmdecl.plan.residency import alone_on, computes_on
from llmdecl.plan.subject import Subject


def check_company(subjects: Sequence[Subject]) -> Iterator[Diagnostic]:
    """Residents that exclude each other; and others that exclude, or are excluded by, one that is
    never unloaded."""
    for one, two in combinations(subjects, 2):
        both = one.resident and two.resident
        for_ever = one.life.ttl_s is None or two.life.ttl_s is None
        shared = _quarrel(one, two) | _quarrel(two, one)
        if not shared or not (both or for_ever):
            continue
        alone, other = (one, two) if _quarrel(one, two) else (two, one)
        where = " and ".join("the CPU" if d == "host" else f"`{d}`" for d in sorted(shared))
        wants = alone.wishes.alone.value
        what = "is to be alone" if wants else "is the one client of the RPC server"
        yield rules.NEVER_ALONE.at(
            alone.address("alone" if wants else "devices"),
            f"`{alone.name}` {what} on {where}, where `{other.name}` stays as well",
            notes=[_stays(subject) for subject in (alone, other) if subject.resident],
        )


def _quarrel(one: Subject, two: Subject) -> frozenset[str]:
    """Devices that `one` wants for itself and `two` is on."""
    wanted = alone_on(one.placement, alone=one.wishes.alone.value)
    return wanted & computes_on(two.placement)


def _stays(subject: Subject) -> str:
    never = subject.life.ttl_s is None
    return f"`{subject.name}` is {'never unloaded' if never else 'loaded at start'}"
