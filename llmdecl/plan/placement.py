"""Where a model goes: `auto` solved exactly on what the budgets leave. Pure.

In this order, the first that fits: whole on one device, whole on as few devices as hold it, the
fewest experts on the CPU, the most layers on devices, everything on the CPU. Within a class devices
of this machine go before those of another, then the least room left on a device is the largest
possible; of equals the device that was declared first.

Memory is asked of the caller (`measure`): exact, and a few milliseconds a question. `Sizes` says
what is certain of each layer, so that hopeless placements are never asked for and the others are
guessed well; whatever is answered was measured.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from llmdecl.engines.llama_cpp.placement import SplitMode
from llmdecl.memory.model import Device, Placement, expert_overrides
from llmdecl.plan.layers import even_runs, holds_runs, split_layers

HOST = "host"
GUESSES = 6
"""How often a guess may be corrected before it is halved instead, or taken as it is."""

MANY_DEVICES = 8
"""With more, only the devices with most room are tried together."""


class Kind(StrEnum):
    """What became of a model, from best to worst."""

    ONE = "one"
    SPLIT = "split"
    EXPERTS = "experts"
    LAYERS = "layers"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Room:
    """A device that may be used, and its bytes beside the permanent residents.

    The same placement takes the same bytes on devices of one `kind`; any takes `least` at least:
    the driver's.
    """

    device: Device
    free: int
    kind: str = ""
    least: int = 0
    far: bool = False
    """On another machine."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the spec has decided; `None` is solved. `every`: all rooms are used, in their order."""

    n_gpu_layers: int | None = None
    n_cpu_moe: int | None = None
    tensor_split: tuple[float, ...] = ()
    split_mode: SplitMode = "layer"
    main_gpu: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    kv_offload: bool = True
    op_offload: bool = True
    no_host: bool = False
    every: bool = False
    needed: frozenset[str] = frozenset()
    """Devices that overrides name: they are among those used."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Least bytes of each layer (blocks, then the output) and, of them, its experts."""

    layers: tuple[int, ...]
    experts: tuple[int, ...]

    def kept(self, n_cpu_moe: int) -> tuple[int, ...]:
        """Each layer without the experts of the first `n_cpu_moe`."""
        return tuple(
            size - (self.experts[layer] if layer < min(n_cpu_moe, len(self.experts)) else 0)
            for layer, size in enumerate(self.layers)
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes left in every pool that the placement touches, the host's with them.

    `sound`: llama.cpp computes it as asked; flash attention would stay on.
    """

    left: Mapping[str, int]
    sound: bool = True

    @property
    def short(self) -> int:
        """Bytes that are lacking, all pools together."""
        return sum(-left for left in self.left.values() if left < 0)

    @property
    def fits(self) -> bool:
        """Every budget holds."""
        return self.sound and not self.short

    @property
    def device_left(self) -> int:
        """The least that a device has left; 0 without any."""
        return min((left for pool, left in self.left.items() if pool != HOST), default=0)


@dataclass(frozen=True, slots=True)
class Solution:
    """`layers` are counts in the order of the placement's devices (one for rows: all)."""

    kind: Kind
    placement: Placement
    layers: tuple[int, ...]
    n_cpu_moe: int
    measured: Measured


Measure = Callable[[Placement], Measured]


def solve(rooms: Sequence[Room], fixed: Fixed, sizes: Sizes, measure: Measure) -> Solution:
    """The best placement that fits, else the one that lacks least."""
    return _Search(rooms, fixed, sizes, measure).run()


class _Search:
    """One model's search; everything measured is remembered."""

    def __init__(self, rooms: Sequence[Room], fixed: Fixed, sizes: Sizes, measure: Measure) -> None:
        self.rooms = tuple(rooms)
        self.fixed, self.sizes, self.measure = fixed, sizes, measure
        self.overhead: dict[str, int] = {}
        self.lowest: dict[str, int] = {}
        self.opaque = bool(fixed.tensor_split) or fixed.split_mode in ("row", "tensor")
        """How layers are shared is not ours to say: that is left to the measurement."""
        self.known: dict[tuple[tuple[Room, ...], int, int], Solution | None] = {}
        self.failed: list[Solution] = []
        wanted = fixed.n_gpu_layers
        self.layers = len(sizes.layers) if wanted is None else min(wanted, len(sizes.layers))
        self.experts = tuple(n + 1 for n, size in enumerate(sizes.experts) if size)

    def run(self) -> Solution:
        """Class by class."""
        if not self.rooms:
            return self._on_cpu()
        if not self.layers:
            return self._asked(self.rooms[:1], 0, 0, (0,), ())
        for attempt in (self._whole, self._experts, self._layers):
            found = attempt()
            if found is not None:
                return found
        if self.fixed.n_gpu_layers is None:
            on_cpu = self._on_cpu()
            if on_cpu.measured.fits:
                return on_cpu
            self.failed.append(on_cpu)
        elif not self.failed:
            self.failed.append(self._hopeless())
        return min(self.failed, key=lambda each: each.measured.short)

    # classes

    def _whole(self) -> Solution | None:
        """All wanted layers on devices, on as few as hold them."""
        moe = self.fixed.n_cpu_moe or 0
        for size in range(1, len(self.rooms) + 1):
            best: Solution | None = None
            for far, rooms, bound in self._ranked(size, moe):
                if best is not None and (far > _far(best) or bound <= best.measured.device_left):
                    break
                if bound >= 0:
                    best = self._better(best, self._placed(rooms, self.layers, moe))
            if best is not None:
                return best
        return None

    def _experts(self) -> Solution | None:
        """The fewest experts on the CPU."""
        if self.fixed.n_cpu_moe is not None or not self.experts or self.fixed.overrides:
            return None
        return self._least([(self.layers, count) for count in self.experts])

    def _layers(self) -> Solution | None:
        """The most layers on devices, with all experts on the CPU where that is open."""
        if self.fixed.n_gpu_layers is not None:
            return None
        moe = self.fixed.n_cpu_moe
        if moe is None:
            moe = self.experts[-1] if self.experts and not self.fixed.overrides else 0
        return self._least([(count, moe) for count in range(self.layers - 1, 0, -1)])

    def _on_cpu(self) -> Solution:
        placement = Placement(
            kv_offload=self.fixed.kv_offload, op_offload=False, no_host=self.fixed.no_host
        )
        return Solution(Kind.CPU, placement, (), 0, self.measure(placement))

    def _hopeless(self) -> Solution:
        """What the spec asks for, on as many devices as it may: it does not fit, and is measured
        to show by how much."""
        moe = self.fixed.n_cpu_moe or 0
        size = 1 if self.fixed.split_mode == "none" else min(len(self.rooms), self.layers)
        if self.fixed.every:
            size = len(self.rooms)
        by_room = sorted(
            range(len(self.rooms)),
            key=lambda n: (self.rooms[n].device.id not in self.fixed.needed, -self.rooms[n].free),
        )
        rooms = tuple(self.rooms[n] for n in sorted(by_room[:size]))
        placed = self._placed(rooms, self.layers, moe)
        assert placed is not None
        return placed

    # choices

    def _better(self, best: Solution | None, other: Solution | None) -> Solution | None:
        if other is None:
            return best
        if not other.measured.fits:
            self.failed.append(other)
            return best
        if best is None or other.measured.device_left > best.measured.device_left:
            return other
        return best

    def _sets(self, size: int) -> Iterator[tuple[Room, ...]]:
        """Sets of devices; of sets that only names tell apart, the first."""
        if (self.fixed.every and size < len(self.rooms)) or (
            self.fixed.split_mode == "none" and size > 1
        ):
            return
        rooms: Iterable[Room] = self.rooms
        if len(self.rooms) > MANY_DEVICES:
            order = sorted(range(len(self.rooms)), key=lambda n: -self.rooms[n].free)
            rooms = [self.rooms[n] for n in sorted(order[: max(size, MANY_DEVICES)])]
        seen: set[tuple[tuple[str, int, bool], ...]] = set()
        for group in combinations(rooms, size):
            if not self.fixed.needed <= {room.device.id for room in group}:
                continue
            key = tuple((room.kind, room.free, room.far) for room in group)
            if key not in seen:
                seen.add(key)
                yield group

    def _ranked(self, size: int, n_cpu_moe: int) -> list[tuple[int, tuple[Room, ...], int]]:
        """Sets of devices: how many are far, and what they can at most have left, most first."""
        bounds = [(group, self._bound(group, self.layers, n_cpu_moe)) for group in self._sets(size)]
        known = [(_count_far(group), group, bound) for group, bound in bounds if bound is not None]
        return sorted(known, key=lambda each: (each[0], -each[2]))

    def _bound(self, rooms: tuple[Room, ...], layers: int, n_cpu_moe: int) -> int | None:
        """The least room left with nothing but driver and layers: never too small.

        Rows and shares that the spec gives are left to the measurement.
        """
        if self.opaque:
            return max(room.free - room.least for room in rooms)
        sizes = self._sizes(layers, n_cpu_moe)
        free = [room.free - room.least for room in rooms]
        runs = even_runs(free, sizes)
        return None if runs is None else min(_left(free, sizes, runs))

    def _sizes(self, layers: int, n_cpu_moe: int) -> tuple[int, ...]:
        kept = self.sizes.kept(n_cpu_moe)
        return kept[len(kept) - layers :]

    def _least(self, steps: Sequence[tuple[int, int]]) -> Solution | None:
        """The first step `(layers, n_cpu_moe)` that fits some devices; then the fewest devices,
        then the most room left. Later steps take less of devices and more of the host."""
        order: list[tuple[int, int, int, tuple[Room, ...], Sequence[int]]] = []
        for size in range(1, len(self.rooms) + 1):
            for rooms in self._sets(size):
                hopeful = self._hopeful(rooms, steps)
                if hopeful:
                    order.append((hopeful[0], size, _count_far(rooms), rooms, hopeful))
        order.sort(key=lambda each: each[:3])
        best: Solution | None = None
        rank = (len(steps), 0, 0)
        for first, size, far, rooms, hopeful in order:
            if best is not None and (first, size, far) > rank:
                break
            last = rank[0] if self._may_lead(rooms, steps, rank, best) else rank[0] - 1
            index = self._earliest(rooms, steps, [each for each in hopeful if each <= last])
            found = None if index is None else self._placed(rooms, *steps[index])
            if found is None or index is None:
                continue
            if best is None or not found.measured.fits or (index, size, far) == rank:
                best = self._better(best, found)
            elif (index, size, far) < rank:
                best = found
            if best is found:
                rank = index, size, far
        return best

    def _earliest(
        self, rooms: tuple[Room, ...], steps: Sequence[tuple[int, int]], indices: Sequence[int]
    ) -> int | None:
        """The first of these steps that the devices hold; `None`: none of them does.

        What is held stays held, unless a layer is wider than a device: then one by one.
        """
        if self._narrow(rooms):
            return next((index for index in indices if self._held(rooms, steps[index])), None)
        if not indices or not self._likely(rooms, steps[indices[-1]]):
            return None
        at = self._boundary(rooms, [steps[index] for index in indices])
        return None if at is None else indices[at]

    def _held(self, rooms: tuple[Room, ...], step: tuple[int, int]) -> bool:
        if not self._likely(rooms, step):
            return False
        placed = self._placed(rooms, *step)
        if placed is None or not placed.measured.sound or placed.measured.device_left < 0:
            self.failed += [placed] if placed else []
            return False
        return True

    def _narrow(self, rooms: tuple[Room, ...]) -> bool:
        if self.opaque or len(rooms) < 2:
            return False
        return min(room.free - room.least for room in rooms) < 2 * max(self.sizes.layers)

    def _may_lead(
        self,
        rooms: tuple[Room, ...],
        steps: Sequence[tuple[int, int]],
        rank: tuple[int, int, int],
        best: Solution | None,
    ) -> bool:
        """Whether these devices could be better at the very step of the best so far."""
        mine = len(rooms), _count_far(rooms)
        if best is None or mine != rank[1:]:
            return best is None or mine < rank[1:]
        bound = self._bound(rooms, *steps[rank[0]])
        return bound is not None and bound > best.measured.device_left

    def _hopeful(self, rooms: tuple[Room, ...], steps: Sequence[tuple[int, int]]) -> Sequence[int]:
        """Steps that are not hopeless. From some step on they are all that leave each device a
        layer, unless a layer is wider than a device: then each is looked at."""
        free = [room.free - room.least for room in rooms]

        def holds(step: tuple[int, int]) -> bool:
            return self.opaque or holds_runs(free, self._sizes(*step))

        usable = sum(layers >= len(rooms) for layers, _ in steps)
        if self._narrow(rooms):
            return [index for index in range(usable) if holds(steps[index])]
        return range(_first(steps[:usable], holds), usable)

    def _likely(self, rooms: tuple[Room, ...], step: tuple[int, int]) -> bool:
        """Whether it could fit if each device took a quarter of the least work buffer seen yet."""
        if self.opaque:
            return True
        free = []
        for room in rooms:
            seen = self.lowest.get(room.kind, room.least)
            free.append(room.free - room.least - max(0, seen - room.least) // 4)
        return holds_runs(free, self._sizes(*step))

    def _boundary(self, rooms: tuple[Room, ...], steps: Sequence[tuple[int, int]]) -> int | None:
        """The first step that the devices hold; `None`: none of them does."""
        low, high = 0, len(steps)
        guess = self._guess(rooms, steps, low, high)
        for tries in range(2 * len(steps)):
            if low >= high:
                break
            at = min(max(guess, low), high - 1) if tries < GUESSES else (low + high) // 2
            placed = self._placed(rooms, *steps[at])
            if placed is not None and placed.measured.sound and placed.measured.device_left >= 0:
                high = at
                guess = min(self._guess(rooms, steps, low, high), at - 1)
            else:
                low = at + 1
                guess = self._guess(rooms, steps, low, high)
                if placed is not None and low == len(steps):
                    self.failed.append(placed)
        return high if high < len(steps) else None

    def _guess(
        self, rooms: tuple[Room, ...], steps: Sequence[tuple[int, int]], low: int, high: int
    ) -> int:
        """By what each device took beside its layers when it was last asked."""
        free = [room.free - self.overhead.get(room.kind, room.least) for room in rooms]

        def holds(step: tuple[int, int]) -> bool:
            return holds_runs(free, self._sizes(*step))

        return low + _first(steps[low:high], holds)

    # one set of devices

    def _placed(self, rooms: tuple[Room, ...], layers: int, n_cpu_moe: int) -> Solution | None:
        """The best split over these devices; `None` with fewer layers than devices."""
        key = rooms, layers, n_cpu_moe
        if key not in self.known:
            self.known[key] = self._split(rooms, layers, n_cpu_moe)
        return self.known[key]

    def _split(self, rooms: tuple[Room, ...], layers: int, n_cpu_moe: int) -> Solution | None:
        fixed = self.fixed
        if fixed.tensor_split:
            counts = split_layers(fixed.tensor_split, layers)
            return self._asked(rooms, layers, n_cpu_moe, counts, fixed.tensor_split)
        if len(rooms) == 1:
            return self._asked(rooms, layers, n_cpu_moe, (layers,), ())
        if fixed.split_mode in ("row", "tensor"):
            shares = tuple(float(max(1, room.free >> 20)) for room in rooms)
            return self._asked(rooms, layers, n_cpu_moe, split_layers(shares, layers), shares)
        sizes = self._sizes(layers, n_cpu_moe)
        free = [room.free - self.overhead.get(room.kind, room.least) for room in rooms]
        tried: list[Solution] = []
        for _ in range(GUESSES):
            runs = even_runs(free, sizes)
            if runs is None:
                return None
            if any(each.layers == runs for each in tried):
                break
            shares = tuple(float(count) for count in runs)
            solution = self._asked(rooms, layers, n_cpu_moe, runs, shares)
            tried.append(solution)
            left = solution.measured.left
            free = [
                left[room.device.id] + size
                for room, size in zip(rooms, _taken(sizes, runs), strict=True)
            ]
        return min(tried, key=lambda each: (each.measured.short, -each.measured.device_left))

    def _asked(
        self,
        rooms: tuple[Room, ...],
        layers: int,
        n_cpu_moe: int,
        counts: tuple[int, ...],
        shares: tuple[float, ...],
    ) -> Solution:
        fixed = self.fixed
        placement = Placement(
            devices=tuple(room.device for room in rooms),
            n_gpu_layers=layers,
            split_mode=fixed.split_mode,
            tensor_split=shares,
            main_gpu=fixed.main_gpu,
            overrides=(*fixed.overrides, *expert_overrides(n_cpu_moe)),
            kv_offload=fixed.kv_offload,
            op_offload=fixed.op_offload,
            no_host=fixed.no_host,
        )
        measured = self.measure(placement)
        taken = _taken(self._sizes(layers, n_cpu_moe), counts)
        for room, size in zip(rooms, taken, strict=True):
            took = room.free - measured.left[room.device.id] - size
            self.overhead[room.kind] = took
            self.lowest[room.kind] = min(took, self.lowest.get(room.kind, took))
        kind = self._kind(len(rooms), layers, n_cpu_moe)
        return Solution(kind, placement, counts, n_cpu_moe, measured)

    def _kind(self, devices: int, layers: int, n_cpu_moe: int) -> Kind:
        if layers < self.layers:
            return Kind.LAYERS
        if n_cpu_moe > (self.fixed.n_cpu_moe or 0):
            return Kind.EXPERTS
        return Kind.ONE if devices == 1 else Kind.SPLIT


def _count_far(rooms: Iterable[Room]) -> int:
    return sum(room.far for room in rooms)


def _far(solution: Solution) -> int:
    return sum(device.backend == "rpc" for device in solution.placement.devices)


def _taken(sizes: Sequence[int], counts: Sequence[int]) -> list[int]:
    at, sums = 0, []
    for count in counts:
        sums.append(sum(sizes[at : at + count]))
        at += count
    return sums


def _left(free: Sequence[int], sizes: Sequence[int], counts: Sequence[int]) -> list[int]:
    return [each - size for each, size in zip(free, _taken(sizes, counts), strict=True)]


def _first(steps: Sequence[tuple[int, int]], good: Callable[[tuple[int, int]], bool]) -> int:
    """The first good step, `len(steps)` if none; what is good stays good."""
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(steps[middle]) else (middle + 1, high)
    return low
