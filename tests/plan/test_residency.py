"""Which models may be loaded together: against brute force, with `alone`, at scale."""

from itertools import chain, combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import MemoryPart
from llmdecl.plan.residency import Tenant, residency

POOLS = ("host", "gpu0", "gpu1")


def tenant(name, *, at_start=False, never_unloaded=False, alone=(), shared=None, **pools):
    """`gpu0=5` is a claim of 5; `shared` is a mapped file of 4 on the host."""
    memory = [MemoryPart(pool=p, part="weights", bytes=b, exact=True) for p, b in pools.items()]
    if shared is not None:
        memory.append(MemoryPart(pool="host", part="w", bytes=4, exact=True, shared=shared))
    return Tenant(
        name=name,
        memory=tuple(memory),
        devices=frozenset(pools) - {"host"} or frozenset({"host"}),
        alone=frozenset(alone),
        at_start=at_start,
        never_unloaded=never_unloaded,
    )


def fits(chosen, budgets):
    """By the ledger's own sum, and by the words of `alone`."""
    parts = [part for t in chosen for part in t.memory]
    if any(total_bytes(parts, pool) > size for pool, size in budgets.items()):
        return False
    return not any(one.alone & two.devices for one in chosen for two in chosen if one is not two)


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


def maximal(sets):
    return {one for one in sets if not any(one < other for other in sets)}


def brute_force(tenants, budgets):
    """Maximal fitting sets that hold all permanent models."""
    permanent = {t.name for t in tenants if t.at_start or t.never_unloaded}
    good = {
        frozenset(t.name for t in chosen) for chosen in subsets(tenants) if fits(chosen, budgets)
    }
    return maximal({s for s in good if permanent <= s})


def brute_force_without_startup(tenants, budgets):
    """Maximal fitting sets with the never unloaded ones, and one that has no room beside those
    which are loaded at start."""
    never = {t.name for t in tenants if t.never_unloaded}
    permanent = {t.name for t in tenants if t.at_start} | never
    good = {
        frozenset(t.name for t in chosen) for chosen in subsets(tenants) if fits(chosen, budgets)
    }
    late = {
        t.name for t in tenants if not t.at_start and frozenset(permanent | {t.name}) not in good
    } - never
    return {s for s in maximal({s for s in good if never <= s}) if s & late}


def expanded(found, budgets):
    """One set of each group beside the permanent ones."""
    return {
        frozenset(found.permanent).union(*choice)
        for choice in product(*(group.sets for group in found.groups))
    }


@st.composite
def stacks(draw, most=9):
    budgets = {pool: draw(st.integers(0, 30)) for pool in POOLS}
    found = []
    for i in range(draw(st.integers(0, most))):
        claims = draw(st.dictionaries(st.sampled_from(POOLS), st.integers(0, 20), max_size=3))
        made = tenant(
            f"m{i}",
            shared=draw(st.sampled_from([None, None, "a", "b"])),
            at_start=draw(st.integers(0, 9)) == 0,
            never_unloaded=draw(st.integers(0, 9)) == 0,
            **claims,
        )
        if draw(st.integers(0, 5)) == 0:
            alone = (made.devices - {"host"}) or made.devices
            made = Tenant(**{k: getattr(made, k) for k in Tenant.__slots__} | {"alone": alone})
        found.append(made)
    return found, budgets


@settings(max_examples=400, deadline=None)
@given(stacks())
def test_equal_to_brute_force(stack):
    """The sets are exactly the maximal ones among all subsets, whatever pools, claims, shared
    files, `alone` and permanent models there are."""
    tenants, budgets = stack
    found = residency(tenants, budgets)
    permanent = [t for t in tenants if t.name in found.permanent]
    assert found.complete
    if not fits(permanent, budgets):
        assert found.groups == ()
    else:
        assert expanded(found, budgets) == brute_force(tenants, budgets)
    late = found.without_startup
    names = {t.name for t in tenants if t.never_unloaded}
    if fits([t for t in tenants if t.never_unloaded], budgets):
        got = {frozenset(s) | names for s in late.sets} if late else set()
        assert got == brute_force_without_startup(tenants, budgets)


@settings(max_examples=5, deadline=None)
@given(stacks(most=12))
def test_twelve(stack):
    """So it is for up to twelve models."""
    tenants, budgets = stack
    found = residency(tenants, budgets)
    if fits([t for t in tenants if t.name in found.permanent], budgets):
        assert expanded(found, budgets) == brute_force(tenants, budgets)


@settings(max_examples=50, deadline=None)
@given(stacks(), st.randoms())
def test_whatever_the_order(stack, random):
    """The order in which models are given changes nothing."""
    tenants, budgets = stack
    shuffled = random.sample(tenants, len(tenants))
    assert residency(tenants, budgets) == residency(shuffled, budgets)


def test_the_most_sets_of_twelve():
    """Twelve equal models of which six fit: all 924 sets."""
    found = residency([tenant(f"m{i:02}", host=1) for i in range(12)], {"host": 6})
    assert found.complete
    assert len(found.groups[0].sets) == 924


def test_everything_fits():
    """Models that compete for nothing are one set each, in groups of their own."""
    found = residency([tenant("a", host=1), tenant("b", host=1)], {"host": 2})
    assert [group.sets for group in found.groups] == [((("a"),),), ((("b"),),)]


def test_devices_of_their_own_are_groups_of_their_own():
    """What happens on one device does not multiply what happens on another."""
    models = [tenant(f"{g}-{i}", **{g: 3}) for g in ("gpu0", "gpu1") for i in range(15)]
    found = residency(models, {"host": 9, "gpu0": 5, "gpu1": 5})
    assert [len(group.sets) for group in found.groups] == [15, 15]
    assert found.complete


def test_alone_shares_its_device_only():
    """A model that is alone on a device goes with models elsewhere."""
    models = [
        tenant("big", gpu0=2, host=1, alone=["gpu0"]),
        tenant("small", gpu0=1, host=1),
        tenant("cpu", host=1),
    ]
    found = residency(models, {"host": 9, "gpu0": 9})
    assert expanded(found, {}) == {frozenset({"big", "cpu"}), frozenset({"small", "cpu"})}


def test_alone_on_the_cpu():
    """A model without devices that is alone shares the CPU with no other such model."""
    models = [tenant("a", host=1, alone=["host"]), tenant("b", host=1), tenant("c", gpu0=1, host=1)]
    found = residency(models, {"host": 9, "gpu0": 9})
    assert expanded(found, {}) == {frozenset({"a", "c"}), frozenset({"b", "c"})}


def test_a_shared_file_counts_once():
    """Two models of one file fit where two files would not."""
    one_file = [tenant("a", shared="x", host=1), tenant("b", shared="x", host=1)]
    two_files = [tenant("a", shared="x", host=1), tenant("b", shared="y", host=1)]
    assert expanded(residency(one_file, {"host": 6}), {}) == {frozenset("ab")}
    assert expanded(residency(two_files, {"host": 6}), {}) == {frozenset("a"), frozenset("b")}


def test_loaded_at_start_with_an_idle_time():
    """A model with no room beside it has a set without it; one that is never unloaded stays."""
    models = [
        tenant("always", host=1, never_unloaded=True),
        tenant("first", host=5, at_start=True),
        tenant("large", host=6),
        tenant("tiny", host=1),
    ]
    found = residency(models, {"host": 8})
    assert found.permanent == ("always", "first")
    assert expanded(found, {}) == {frozenset({"always", "first", "tiny"})}
    assert found.without_startup.sets == (("large", "tiny"),)


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_sixty_models(random):
    """Sixty models on five pools: every set fits and is maximal, every pair that fits occurs."""
    budgets = {"host": 200, **{f"gpu{i}": random.randint(20, 80) for i in range(4)}}
    models = []
    for i in range(60):
        pools = random.sample(list(budgets)[1:], random.randint(0, 2))
        claims = {pool: random.randint(1, 20) for pool in pools}
        models.append(tenant(f"m{i:02}", host=random.randint(1, 12), shared=f"f{i % 50}", **claims))
    found = residency(models, budgets)
    by_name = {t.name: t for t in models}
    for group in found.groups:
        for names in group.sets:
            chosen = [by_name[name] for name in names]
            assert fits(chosen, budgets)
            others = [by_name[name] for name in group.models if name not in names]
            assert not any(fits([*chosen, other], budgets) for other in others)
    group_of = {name: i for i, group in enumerate(found.groups) for name in group.models}
    together = {
        pair for group in found.groups for s in group.sets for pair in combinations(sorted(s), 2)
    }
    for one, two in combinations(sorted(by_name), 2):
        if fits([by_name[one], by_name[two]], budgets):
            assert group_of[one] != group_of[two] or (one, two) in together


def test_a_bound_is_said():
    """Where there are too many sets to list, the group says so, and the answer is the same."""
    models = [tenant(f"m{i:02}", host=1 + i % 7) for i in range(60)]
    found = residency(models, {"host": 40})
    assert not found.complete
    assert found == residency(models, {"host": 40})
