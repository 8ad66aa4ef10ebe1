"""Layers over devices: llama.cpp's rule, and contiguous runs that leave most free. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from llmdecl.memory.layer_split import cumulated, owner


def split_layers(shares: Sequence[float], count: int) -> tuple[int, ...]:
    """How many of `count` layers each device gets. Counts of layers as shares come back as they
    are; without any share the first device has all."""
    points = cumulated(shares)
    if not any(points):
        return (count, *(0 for _ in shares[1:]))
    owners = [owner(points, layer, count) for layer in range(count)]
    return tuple(owners.count(device) for device in range(len(shares)))


def holds_runs(room: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether some contiguous runs of `sizes`, at least one a device, fit into the room."""
    if len(sizes) < len(room) or min(room) < 0:
        return False
    return _runs(room, (0, *accumulate(sizes)), max(sizes), 0) is not None


def even_runs(room: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...] | None:
    """Contiguous runs of `sizes`, at least one a device, whose least room left is the largest.

    The best counts, or `None` with fewer layers than devices. Negative room left means that it
    does not fit; the runs are still the least bad.
    """
    if len(sizes) < len(room):
        return None
    prefix, widest = (0, *accumulate(sizes)), max(sizes)
    low, high = min(room) - prefix[-1], min(room)
    while low < high:
        middle = (low + high + 1) // 2
        if _runs(room, prefix, widest, middle) is None:
            high = middle - 1
        else:
            low = middle
    return _runs(room, prefix, widest, low)


def _runs(
    room: Sequence[int], prefix: Sequence[int], widest: int, left: int
) -> tuple[int, ...] | None:
    """Runs that leave each device `left`: one after the other takes as many as it can.

    Where some layer is too wide for some device that may go wrong, and every end is followed up.
    """
    last = len(prefix) - 1
    plain = min(room) - left >= widest
    ends: list[list[int]] = [[0]]
    for index, free in enumerate(room):
        limit = last - (len(room) - 1 - index)
        reached: list[int] = []
        for at in ends[-1]:
            reach = min(bisect_right(prefix, prefix[at] + free - left) - 1, limit)
            first = max(at, reached[-1] if reached else 0) + 1
            reached += [reach] if plain else range(first, reach + 1)
        if not reached:
            return None
        ends.append(reached)
    if ends[-1][-1] != last:
        return None
    return _counts(room, prefix, left, ends)


def _counts(
    room: Sequence[int], prefix: Sequence[int], left: int, ends: Sequence[Sequence[int]]
) -> tuple[int, ...]:
    """Back from the last layer, each run as short as its predecessors' ends allow."""
    counts: list[int] = []
    at = ends[-1][-1]
    for free, before in zip(reversed(room), reversed(ends[:-1]), strict=True):
        start = max(end for end in before if end < at and prefix[at] - prefix[end] <= free - left)
        counts.append(at - start)
        at = start
    return tuple(reversed(counts))
