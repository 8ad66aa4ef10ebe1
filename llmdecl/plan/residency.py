"""Which models may be loaded together, on the budgets of all pools at once.

A set of models fits when no pool's budget is crossed, with equal shared keys of a pool counted
once, and no model sits on a device that another one has for itself (`alone`). Taking a model out of
a set that fits leaves one that fits, so the maximal sets say everything.

Permanent models (`load = "startup"`, `ttl = "never"`) are part of every set. Those loaded at start
with an idle time do leave when nobody uses them: models that fit only then have sets of their own.

Models that compete for nothing, directly or through others, are put into different groups: any
set of one group goes with any set of the other. There can be exponentially many maximal sets in a
group. Up to `EXACT_MODELS` they are all listed; beyond that within bounds of work and number, which
are counts, so that the answer never depends on the machine. Where a bound is met, the group says
`complete = False`, and its sets are maximal ones in which every two models that fit together do
occur together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from llmdecl.memory.model import MemoryPart
from llmdecl.plan.model import ModelPlan, PlacementPlan, Residency, ResidencyGroup

EXACT_MODELS = 12
"""Groups of so many models are always listed completely: 924 sets at most."""
MOST_SETS = 1024
MOST_STEPS = 60_000
"""Fit tests of one enumeration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A model as the budgets see it. `devices` are where it computes: ids of devices, and `host`
    for the CPU; `alone` are those of them that it shares with nobody."""

    name: str
    memory: tuple[MemoryPart, ...]
    devices: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    at_start: bool = False
    never_unloaded: bool = False


def residency(tenants: Iterable[Tenant], budgets: Mapping[str, int]) -> Residency:
    """All of it; `budgets` are bytes by pool, less margins. Names are sorted throughout."""
    models = sorted(tenants, key=lambda tenant: tenant.name)
    permanent = [t for t in models if t.at_start or t.never_unloaded]
    others = [t for t in models if t not in permanent]
    base = _load(permanent, budgets)
    beside = [t for t in others if base is not None and base.has_room(t)]
    groups = [_group(base, members) for members in _groups(base, beside)] if base else []
    return Residency(
        permanent=tuple(t.name for t in permanent),
        groups=tuple(groups),
        without_startup=_without_startup(models, beside, budgets),
    )


def _without_startup(
    models: Sequence[Tenant], beside: Sequence[Tenant], budgets: Mapping[str, int]
) -> ResidencyGroup | None:
    """The sets of those that fit only beside the models that are never unloaded."""
    never = [t for t in models if t.never_unloaded]
    base = _load(never, budgets)
    if base is None:
        return None
    able = [t for t in models if not t.never_unloaded and base.has_room(t)]
    late = {t.name for t in able if not t.at_start and t not in beside}
    if not late:
        return None
    group = _group(base, able)
    return group.replace(sets=tuple(s for s in group.sets if late & set(s)))


class _Load:
    """What a set of models claims, pool by pool."""

    __slots__ = ("alone", "budgets", "bytes", "devices", "shared")

    def __init__(self, budgets: Mapping[str, int]) -> None:
        self.budgets = budgets
        self.bytes = dict.fromkeys(budgets, 0)
        self.shared = dict[tuple[str, str], int]()
        self.devices = frozenset[str]()
        self.alone = frozenset[str]()

    def _grown(self, tenant: Tenant) -> dict[str, int]:
        """Bytes of the pools that `tenant` claims, once it is there."""
        grown = dict[str, int]()
        shared = dict[tuple[str, str], int]()
        for part in tenant.memory:
            if part.pool not in self.bytes:
                continue
            more = part.bytes
            if part.shared is not None:
                key = part.pool, part.shared
                held = shared.get(key, self.shared.get(key, 0))
                shared[key] = max(held, part.bytes)
                more = shared[key] - held
            grown[part.pool] = grown.get(part.pool, self.bytes[part.pool]) + more
        return grown

    def has_room(self, tenant: Tenant) -> bool:
        """Whether the set with `tenant` fits, given that it fits without."""
        if self.alone & tenant.devices or self.devices & tenant.alone:
            return False
        return all(size <= self.budgets[pool] for pool, size in self._grown(tenant).items())

    def plus(self, tenant: Tenant) -> "_Load":
        """The set with `tenant`."""
        load = _Load(self.budgets)
        load.bytes = self.bytes | self._grown(tenant)
        load.shared = dict(self.shared)
        for part in tenant.memory:
            if part.shared is not None and part.pool in self.bytes:
                key = part.pool, part.shared
                load.shared[key] = max(part.bytes, load.shared.get(key, 0))
        load.devices = self.devices | tenant.devices
        load.alone = self.alone | tenant.alone
        return load


def _load(tenants: Iterable[Tenant], budgets: Mapping[str, int]) -> _Load | None:
    """All of them loaded; `None` when they don't fit."""
    load = _Load(budgets)
    for tenant in tenants:
        if not load.has_room(tenant):
            return None
        load = load.plus(tenant)
    return load


def _groups(base: _Load | None, models: Sequence[Tenant]) -> list[list[Tenant]]:
    """Models that compete, directly or through others, together; by their first names."""
    if base is None:
        return []
    scarce = _scarce(base, models)
    keys = [_competes_for(tenant, scarce, models) for tenant in models]
    groups: list[tuple[set[str], list[Tenant]]] = []
    for tenant, mine in zip(models, keys, strict=True):
        joined = [group for group in groups if group[0] & mine]
        rest = [group for group in groups if not group[0] & mine]
        union = (
            set(mine).union(*(group[0] for group in joined)),
            [*(member for group in joined for member in group[1]), tenant],
        )
        groups = [*rest, union]
    return sorted(
        (sorted(members, key=lambda t: t.name) for _, members in groups), key=lambda g: g[0].name
    )


def _scarce(base: _Load, models: Sequence[Tenant]) -> frozenset[str]:
    """Pools that don't hold all of them at once."""
    everything = base
    for tenant in models:
        everything = everything.plus(tenant)
    return frozenset(p for p, size in everything.bytes.items() if size > base.budgets[p])


def _competes_for(tenant: Tenant, scarce: frozenset[str], models: Sequence[Tenant]) -> set[str]:
    """Pools that are scarce, and devices that someone wants for itself."""
    pools = {f"pool {part.pool}" for part in tenant.memory if part.bytes and part.pool in scarce}
    wanted = {device for other in models if other is not tenant for device in other.alone}
    return pools | {f"device {device}" for device in (tenant.devices & wanted) | tenant.alone}


def _group(base: _Load, models: Sequence[Tenant]) -> ResidencyGroup:
    """Every maximal set, or within the bounds a cover of all pairs."""
    bounded = len(models) > EXACT_MODELS
    found = _Search(base, models, bounded=bounded).run()
    complete = found is not None
    sets = _cover(base, models) if found is None else found
    return ResidencyGroup(
        models=tuple(t.name for t in models), sets=tuple(sorted(sets)), complete=complete
    )


class _Search:
    """All maximal sets: each model is taken or left, largest first; what was left for no reason,
    because it would fit in the end whatever is still taken, is given up at once."""

    def __init__(self, base: _Load, models: Sequence[Tenant], *, bounded: bool) -> None:
        self.models = sorted(models, key=lambda t: (-_greed(t, base), t.name))
        self.base = base
        self.bounded = bounded
        self.steps = 0
        self.sets = list[tuple[str, ...]]()
        self.rest = [dict.fromkeys(base.budgets, 0)]
        """Bytes that the models from each place on may still claim, at most."""
        self.rest_devices = [frozenset[str]()]
        self.rest_alone = [frozenset[str]()]
        for tenant in reversed(self.models):
            after = self.rest[-1]
            own = _own_bytes(tenant, base)
            self.rest.append({pool: size + own.get(pool, 0) for pool, size in after.items()})
            self.rest_devices.append(self.rest_devices[-1] | tenant.devices)
            self.rest_alone.append(self.rest_alone[-1] | tenant.alone)
        for each in (self.rest, self.rest_devices, self.rest_alone):
            each.reverse()

    def run(self) -> list[tuple[str, ...]] | None:
        """The sets; `None` when a bound was met."""
        return self.sets if self._visit(0, self.base, (), ()) else None

    def _visit(
        self, place: int, load: _Load, taken: tuple[str, ...], left: tuple[Tenant, ...]
    ) -> bool:
        """False: a bound was met."""
        self.steps += 1 + len(left)
        if self.bounded and (self.steps > MOST_STEPS or len(self.sets) > MOST_SETS):
            return False
        if place == len(self.models):
            if not any(load.has_room(tenant) for tenant in left):
                self.sets.append(tuple(sorted(taken)))
            return True
        tenant = self.models[place]
        if not load.has_room(tenant):
            return self._visit(place + 1, load, taken, left)
        grown = load.plus(tenant)
        if not self._visit(place + 1, grown, (*taken, tenant.name), left):
            return False
        missed = (*left, tenant)
        if any(self._will_have_room(other, load, place + 1) for other in missed):
            return True
        return self._visit(place + 1, load, taken, missed)

    def _will_have_room(self, tenant: Tenant, load: _Load, place: int) -> bool:
        """Whether it fits even when all models from `place` on are taken."""
        if tenant.alone & (load.devices | self.rest_devices[place]):
            return False
        if tenant.devices & (load.alone | self.rest_alone[place]):
            return False
        rest = self.rest[place]
        own = _own_bytes(tenant, load)
        return all(load.bytes[p] + rest[p] + b <= load.budgets[p] for p, b in own.items())


def _own_bytes(tenant: Tenant, load: _Load) -> dict[str, int]:
    """What it claims of each pool, as if nothing were shared."""
    own = dict[str, int]()
    for part in tenant.memory:
        if part.pool in load.budgets:
            own[part.pool] = own.get(part.pool, 0) + part.bytes
    return own


def _greed(tenant: Tenant, base: _Load) -> float:
    """The largest part that it takes of what a pool has left."""
    shares = [
        size / max(1, base.budgets[pool] - base.bytes[pool])
        for pool, size in _own_bytes(tenant, base).items()
    ]
    return max(shares, default=0.0)


def _cover(base: _Load, models: Sequence[Tenant]) -> list[tuple[str, ...]]:
    """Maximal sets in which every model, and every two that fit together, occur."""
    fitting = [base.plus(tenant) for tenant in models]
    pairs = {
        (one.name, two.name)
        for (one, load), (two, _) in combinations(zip(models, fitting, strict=True), 2)
        if load.has_room(two)
    }
    by_name = {tenant.name: tenant for tenant in models}
    sets = set[tuple[str, ...]]()
    met = set[tuple[str, str]]()
    single = {tenant.name for tenant in models} - {name for pair in pairs for name in pair}
    for seed in (*sorted(pairs), *((name,) for name in sorted(single))):
        if seed in met:
            continue
        names = _grow(base, [by_name[name] for name in seed], models, met)
        sets.add(names)
        met.update(combinations(names, 2))
    return sorted(sets)


def _grow(
    base: _Load, seed: Sequence[Tenant], models: Sequence[Tenant], met: set[tuple[str, str]]
) -> tuple[str, ...]:
    """A maximal set around `seed`: first those who have not met it yet, then whoever fits."""
    load = base
    for tenant in seed:
        load = load.plus(tenant)
    names = {tenant.name for tenant in seed}

    def known(tenant: Tenant) -> int:
        return sum((min(n, tenant.name), max(n, tenant.name)) in met for n in names)

    for tenant in sorted(models, key=lambda t: (known(t), t.name)):
        if tenant.name not in names and load.has_room(tenant):
            load = load.plus(tenant)
            names.add(tenant.name)
    return tuple(sorted(names))


def computes_on(place: PlacementPlan) -> frozenset[str]:
    """Ids of its devices, and `host` when the CPU computes layers or experts of it."""
    partly = (
        place.n_gpu_layers < place.n_layers
        or not place.kv_offload
        or any(buffer == "CPU" for _, buffer in place.overrides)
    )
    devices = set(place.devices)
    return frozenset(devices | {"host"} if partly or not devices else devices)


def alone_on(place: PlacementPlan, *, alone: bool) -> frozenset[str]:
    """What a model shares with nobody: devices behind its RPC servers; of one that is `alone` all
    its devices, or the CPU without any."""
    served = frozenset(place.served)
    if not alone:
        return served
    return served.union(place.devices) if place.devices else frozenset({"host"})


def tenants(models: Iterable[ModelPlan]) -> Iterator[Tenant]:
    """The models of a plan."""
    for model in models:
        yield Tenant(
            name=model.name,
            memory=model.memory,
            devices=computes_on(model.placement),
            alone=alone_on(model.placement, alone=model.alone),
            at_start=model.load == "startup",
            never_unloaded=model.ttl_s is None,
        )
