"""A repository's other quantizations, as a lock saw them on this machine.

They are no part of the lock, which would grow by them and change with files that nobody uses. Where
they are known a plan that does not fit may offer one: its header was read.
"""

from pathlib import Path

from llmdecl.facts.cache import Cache
from llmdecl.facts.gguf import CACHE_SCHEMA
from llmdecl.facts.model import OtherWeights
from llmdecl.store.model import LockedWeights
from llmdecl.values import Value


class _Pin(Value, kw_only=True, frozen=True):
    """Which file of which commit they are beside."""

    repository: str
    revision: str | None
    digest: str


class _Others(Value, kw_only=True, frozen=True):
    others: tuple[OtherWeights, ...]


def keep_others(weights: LockedWeights, others: tuple[OtherWeights, ...], cache: Path) -> None:
    """For plans to come; nothing happens when the folder can't be written."""
    if weights.origin is not None:
        _cache(cache).put((_pin(weights),), _Others(others=others))


def known_others(weights: LockedWeights, cache: Path | None) -> tuple[OtherWeights, ...]:
    """What was kept for a pin."""
    if weights.origin is None:
        return ()
    found = _cache(cache).get((_pin(weights),), _Others)
    return found.others if found is not None else ()


def _cache(folder: Path | None) -> Cache:
    return Cache(folder, "hub-others", CACHE_SCHEMA)


def _pin(weights: LockedWeights) -> _Pin:
    assert weights.origin is not None
    return _Pin(
        repository=weights.origin.repository,
        revision=weights.origin.revision,
        digest=weights.digest,
    )
