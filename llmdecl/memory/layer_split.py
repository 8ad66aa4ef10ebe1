"""How llama.cpp shares layers among devices (src/llama-model.cpp:1558-1601), in 32 bits. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from struct import pack, unpack


def float32(value: float) -> float:
    """The nearest number of 32 bits, as llama.cpp keeps its shares."""
    result: float = unpack("f", pack("f", value))[0]
    return result


def cumulated(shares: Sequence[float]) -> list[float]:
    """Shares summed up and divided by their sum; all 0 without any."""
    total, sums = 0.0, list[float]()
    for share in shares:
        total = float32(total + float32(share))
        sums.append(total)
    return [float32(each / total) if total else 0.0 for each in sums]


def owner(points: Sequence[float], layer: int, count: int) -> int:
    """The device of a layer out of `count`: the first whose point is above the layer's place."""
    return bisect_right(points, float32(layer / count))
