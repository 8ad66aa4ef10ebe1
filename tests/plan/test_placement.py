"""The search for a placement against trying everything."""

import random
from dataclasses import dataclass
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.memory.layer_split import float32
from llmdecl.memory.model import Device, Placement, expert_overrides
from llmdecl.plan.layers import even_runs, split_layers
from llmdecl.plan.placement import Fixed, Kind, Measured, Room, Sizes, solve


@given(st.lists(st.integers(1, 200), min_size=1, max_size=16))
def test_counts_as_shares_come_back(counts):
    """Layer counts passed as `--tensor-split` give exactly these layers, by llama.cpp's rule."""
    assert split_layers(counts, sum(counts)) == tuple(counts)


def test_shares_are_rounded_as_the_engine_does():
    """A layer on the border belongs to the next device; shares are normalised in 32 bits."""
    assert split_layers((3, 2), 33) == (20, 13)
    assert split_layers((0.5, 0.5), 33) == (17, 16)
    assert split_layers((0, 1), 5) == (0, 5)
    assert split_layers((0, 0), 5) == (5, 0)
    assert float32(0.1) != 0.1


def compositions(total, parts):
    for cuts in combinations(range(1, total), parts - 1):
        yield tuple(b - a for a, b in zip((0, *cuts), (*cuts, total), strict=True))


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_even_runs_are_the_best(room, sizes):
    """No contiguous split leaves the tightest device more."""

    def left(counts):
        at, found = 0, []
        for free, count in zip(room, counts, strict=True):
            found.append(free - sum(sizes[at : at + count]))
            at += count
        return min(found)

    best = max(map(left, compositions(len(sizes), len(room))), default=None)
    runs = even_runs(room, sizes)
    assert (runs is None) == (best is None)
    assert best is None or left(runs) == best


@dataclass(frozen=True)
class Machine:
    """Memory that adds up: layers, and on each device what the process and its place cost."""

    budgets: tuple[int, ...]
    host: int
    layers: tuple[int, ...]
    experts: tuple[int, ...]
    driver: int
    compute: int
    copies: int
    far: tuple[int, ...] = ()

    def rooms(self):
        return [
            Room(
                Device(id=f"gpu{n}", backend="rpc" if n in self.far else "cuda", free_bytes=b),
                free=b,
                kind="card",
                least=self.driver,
                far=n in self.far,
            )
            for n, b in enumerate(self.budgets)
        ]

    def used(self, placement):
        """Bytes by pool, counted from llama.cpp's side: shares, layers from the end, overrides."""
        count = len(self.layers)
        on_devices = min(placement.n_gpu_layers, count)
        moved = len(placement.overrides)
        sizes = [
            size - (self.experts[n] if n < min(moved, len(self.experts)) else 0)
            for n, size in enumerate(self.layers)
        ]
        pools = {"host": 3 + sum(self.layers) - sum(sizes[count - on_devices :])}
        if not placement.devices:
            return pools
        counts = split_layers(placement.tensor_split or (1.0,), on_devices)
        at = count - on_devices
        many = len(placement.devices) > 1
        for place, (device, run) in enumerate(zip(placement.devices, counts, strict=True)):
            pools[device.id] = self.driver + sum(sizes[at : at + run])
            pools[device.id] += self.compute * (1 + self.copies * many * (place == 0))
            at += run
        return pools

    def measure(self, placement):
        budgets = {"host": self.host} | {f"gpu{n}": b for n, b in enumerate(self.budgets)}
        return Measured({pool: budgets[pool] - used for pool, used in self.used(placement).items()})

    def sizes(self):
        return Sizes(self.layers, self.experts)


@st.composite
def machines(draw):
    blocks = draw(st.integers(1, 5))
    experts = draw(
        st.one_of(
            st.just((0,) * blocks),
            st.lists(st.integers(0, 12), min_size=blocks, max_size=blocks).map(tuple),
        )
    )
    rest = draw(st.lists(st.integers(1, 6), min_size=blocks + 1, max_size=blocks + 1))
    return Machine(
        budgets=tuple(draw(st.lists(st.integers(0, 60), min_size=1, max_size=3))),
        host=draw(st.sampled_from([10, 40, 200])),
        layers=tuple(a + b for a, b in zip(rest, (*experts, 0), strict=True)),
        experts=experts,
        driver=draw(st.integers(0, 4)),
        compute=draw(st.integers(0, 4)),
        copies=draw(st.integers(0, 2)),
        far=tuple(draw(st.sets(st.integers(0, 2), max_size=2))),
    )


ORDER = {kind: n for n, kind in enumerate(Kind)}


def everything(machine, fixed):
    """Every placement there is, with its rank: the smaller, the better."""
    rooms, count = machine.rooms(), len(machine.layers)
    blocks = [n + 1 for n, size in enumerate(machine.experts) if size]
    steps = [(Kind.SPLIT, count, fixed.n_cpu_moe or 0)]
    if fixed.n_cpu_moe is None:
        steps += [(Kind.EXPERTS, count, n) for n in blocks]
    moe = fixed.n_cpu_moe if fixed.n_cpu_moe is not None else (blocks or [0])[-1]
    if fixed.n_gpu_layers is None:
        steps += [(Kind.LAYERS, n, moe) for n in range(count - 1, 0, -1)]
    else:
        steps = [(k, min(fixed.n_gpu_layers, count), m) for k, _, m in steps]
    for step, (kind, layers, moe) in enumerate(steps):
        for size in range(1, len(rooms) + 1):
            for group in combinations(rooms, size):
                for counts in compositions(layers, size) if layers >= size else ():
                    placement = machine_placement(group, layers, counts, moe)
                    measured = machine.measure(placement)
                    if measured.fits:
                        far = sum(room.far for room in group)
                        yield (step, size, far, -measured.device_left), kind, layers, moe


def machine_placement(group, layers, counts, moe):
    return Placement(
        devices=tuple(room.device for room in group),
        n_gpu_layers=layers,
        tensor_split=tuple(map(float, counts)) if len(group) > 1 else (),
        overrides=expert_overrides(moe),
    )


@given(machines(), st.sampled_from([None, 1, 3, 99]), st.sampled_from([None, 0, 2]))
@settings(max_examples=1000, deadline=None)
def test_nothing_is_better(machine, n_gpu_layers, n_cpu_moe):
    """One device, few devices, few experts, many layers, in this order; then near devices, then
    the most room left."""
    fixed = Fixed(n_gpu_layers=n_gpu_layers, n_cpu_moe=n_cpu_moe)
    found = solve(machine.rooms(), fixed, machine.sizes(), machine.measure)
    best = min(everything(machine, fixed), default=None)
    if best is None:
        on_cpu = n_gpu_layers is None and machine.host >= 3 + sum(machine.layers)
        assert found.measured.fits == on_cpu
        assert found.kind is Kind.CPU or not on_cpu
        return
    (_, size, far, left), kind, layers, moe = best
    assert found.measured.fits
    assert (found.placement.n_gpu_layers, found.n_cpu_moe) == (layers, moe)
    assert len(found.placement.devices) == size
    assert sum(device.backend == "rpc" for device in found.placement.devices) == far
    assert found.measured.device_left == -left
    assert kind == (Kind.SPLIT if found.kind is Kind.ONE else found.kind)
    assert found.measured == machine.measure(found.placement)
    if size > 1:
        assert split_layers(found.placement.tensor_split, layers) == found.layers


@given(machines())
@settings(max_examples=200, deadline=None)
def test_nothing_is_asked_twice_too_often(machine):
    """A search asks a few times, not for every placement."""
    asked = []

    def measure(placement):
        asked.append(placement)
        return machine.measure(placement)

    solve(machine.rooms(), Fixed(), machine.sizes(), measure)
    assert len(asked) <= 40


@pytest.mark.parametrize("seed", range(20))
def test_large_models_are_asked_for_rarely(seed):
    """Eighty layers over four cards: a few dozen questions at most."""
    chance = random.Random(seed)
    experts = tuple(chance.randint(300, 500) if seed % 2 else 0 for _ in range(80))
    machine = Machine(
        budgets=tuple(chance.choice([8000, 12000, 16000, 24000]) for _ in range(4)),
        host=64000,
        layers=tuple(e + chance.randint(100, 600) for e in (*experts, 100)),
        experts=experts,
        driver=400,
        compute=300,
        copies=1,
    )
    asked = []

    def measure(placement):
        asked.append(placement)
        return machine.measure(placement)

    found = solve(machine.rooms(), Fixed(), machine.sizes(), measure)
    assert found.measured.fits
    assert len(asked) <= 15
