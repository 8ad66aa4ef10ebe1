"""Layers over devices: llama.cpp's rule, and contiguous runs that leave most free. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from struct import pack, unpack


def float32(value: float) -> float:
    """The nearest number of 32 bits, as llama.cpp keeps its shares."""
    result: float = unpack("f", pack("f", value))[0]
    return result


def split_layers(shares: Sequence[float], count: int) -> tuple[int, ...]:
    """How many of `count` layers each device gets (src/llama-model.cpp:1575-1601).

    Shares are made cumulative and normalised in float32; a layer goes to the first device whose
    share is above its place. Counts of layers as shares therefore come back as they are.
    """
    total, sums = 0.0, list[float]()
    for share in shares:
        total = float32(total + float32(share))
        sums.append(total)
    if not total:
        return (count, *(0 for _ in shares[1:]))
    points = [float32(each / total) for each in sums]
    owners = [bisect_right(points, float32(layer / count)) for layer in range(count)]
    return tuple(owners.count(device) for device in range(len(shares)))


def even_runs(room: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...] | None:
    """Contiguous runs of `sizes`, at least one a device, whose least room left is the largest.

    The best counts, or `None` with fewer layers than devices. Negative room left means that it
    does not fit; the runs are still the least bad.
    """
    if len(sizes) < len(room):
        return None
    prefix = (0, *accumulate(sizes))
    low, high = min(room) - prefix[-1], min(room)
    while low < high:
        middle = (low + high + 1) // 2
        if _runs(room, prefix, middle) is None:
            high = middle - 1
        else:
            low = middle
    return _runs(room, prefix, low)


def _runs(room: Sequence[int], prefix: Sequence[int], left: int) -> tuple[int, ...] | None:
    """Each device in turn takes as many as leave it `left`, and one to each that follows."""
    counts: list[int] = []
    at, last = 0, len(prefix) - 1
    for index, free in enumerate(room):
        reach = bisect_right(prefix, prefix[at] + free - left) - 1
        reach = min(reach, last - (len(room) - 1 - index))
        if reach <= at:
            return None
        counts.append(reach - at)
        at = reach
    return tuple(counts) if at == last else None
