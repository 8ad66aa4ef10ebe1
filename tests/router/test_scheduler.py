"""Who is loaded: single decisions, and what none of them may do."""

from hypothesis import given
from hypothesis import strategies as st

from llmdecl.router.config import Claim
from llmdecl.router.events import OCCUPYING, State
from llmdecl.router.scheduler import Candidate, claimed_bytes, decide


def model(name, size=60, state=State.STOPPED, *, pool="host", shared=None, **fields):
    claims = (Claim(pool=pool, bytes=size, shared=shared),) if size else ()
    defaults = {"claims": claims, "permanent": False, "ttl_s": 1000.0}
    return Candidate(name=name, state=state, **{**defaults, **fields})


def ready(name, size=60, **fields):
    return model(name, size, State.READY, **fields)


def choose(*models, now=100.0, budget=100, residency=10.0, pools=None):
    return decide(models, pools or {"host": budget}, now=now, min_residency_s=residency)


def test_nothing_waits():
    """Nobody asks, nothing happens."""
    decision = choose(model("a"), ready("b"))
    assert (decision.start, decision.stop, decision.closed) == ((), (), frozenset())


def test_room_for_both():
    """What fits beside the others starts."""
    assert choose(model("a", 40, waiting_since=99.0), ready("b")).start == ("a",)


def test_the_least_recently_used_goes():
    """Of two idle ones, each of which would do, the one used longer ago."""
    decision = choose(
        model("c", waiting_since=99.0),
        ready("a", 50, idle_since=50.0),
        ready("b", 50, idle_since=40.0),
        budget=110,
    )
    assert decision.stop == ("b",)
    assert decision.start == ()


def test_no_more_than_needed():
    """Who was looked at first but is too small to help stays."""
    decision = choose(
        model("c", 60, waiting_since=99.0),
        ready("tiny", 10, idle_since=1.0),
        ready("big", 60, idle_since=50.0),
        budget=100,
    )
    assert decision.stop == ("big",)


def test_a_smaller_budget_evicts_what_is_idle():
    """Nobody has to ask: a reload took the memory away. Idle ones go first, least recently used
    first; busy ones finish what they have; permanent ones stay."""
    decision = choose(
        ready("a", 40, idle_since=50.0),
        ready("b", 40, idle_since=40.0),
        ready("c", 40, permanent=True),
    )
    assert (decision.stop, decision.closed) == (("b",), frozenset())
    decision = choose(ready("a", 60, busy=True), ready("b", 60, permanent=True))
    assert (decision.stop, decision.closed) == ((), frozenset({"a"}))
    leaving = model("b", 40, State.STOPPING, idle_since=40.0)
    assert choose(ready("a"), leaving, budget=60).stop == ()


def test_a_busy_one_is_closed_not_evicted():
    """It admits no more, and goes when it is idle."""
    waiting = model("b", waiting_since=99.0)
    decision = choose(waiting, ready("a", busy=True))
    assert (decision.stop, decision.closed) == ((), frozenset({"a"}))
    assert choose(waiting, ready("a", busy=False, closed=True)).stop == ("a",)


def test_reopened_when_nobody_waits_any_more():
    """Closed only as long as somebody needs the place."""
    assert choose(model("b"), ready("a", busy=True, closed=True)).closed == frozenset()


def test_minimum_residency():
    """Nobody loses its place before its time, busy or idle; then it is decided again."""
    waiting = model("b", waiting_since=99.0)
    decision = choose(waiting, ready("a", ready_since=95.0, busy=True))
    assert (decision.closed, decision.stop, decision.wake_at) == (frozenset(), (), 105.0)
    decision = choose(waiting, ready("a", ready_since=95.0))
    assert (decision.stop, decision.wake_at) == ((), 105.0)


def test_an_idle_one_before_a_busy_one():
    """Room that costs nobody anything comes first."""
    decision = choose(
        model("c", 50, waiting_since=99.0),
        ready("a", 50, busy=True, idle_since=1.0),
        ready("b", 50, idle_since=90.0),
    )
    assert decision.stop == ("b",)
    assert decision.closed == frozenset()


def test_who_was_closed_stays_closed():
    """The choice between busy ones does not flicker."""
    for first, second in ((True, False), (False, True)):
        decision = choose(
            model("c", 50, waiting_since=99.0),
            ready("a", 50, busy=True, closed=first, ready_since=3.0),
            ready("b", 50, busy=True, closed=second, ready_since=2.0),
        )
        assert decision.closed == frozenset({"a" if first else "b"})


def test_the_oldest_waiter_first():
    """A younger one does not take what an older one waits for, even if it would fit now."""
    decision = choose(
        model("old", 90, waiting_since=10.0),
        model("young", 40, waiting_since=20.0),
        ready("a", 60, busy=True),
    )
    assert decision.start == ()
    assert decision.closed == frozenset({"a"})


def test_a_younger_one_beside():
    """It starts if it fits now and will fit beside the older one."""
    decision = choose(
        model("old", 60, waiting_since=10.0),
        model("young", 30, waiting_since=20.0),
        ready("a", 60, busy=True),
    )
    assert decision.start == ("young",)


def test_two_pools_swap_at_once():
    """Swaps that have nothing to do with each other don't wait for each other."""
    decision = choose(
        model("x", waiting_since=10.0, pool="gpu0"),
        model("y", waiting_since=20.0, pool="gpu1"),
        ready("a", pool="gpu0"),
        ready("b", pool="gpu1", busy=True),
        pools={"gpu0": 100, "gpu1": 100},
    )
    assert decision.stop == ("a",)
    assert decision.closed == frozenset({"b"})


def test_what_is_leaving_is_waited_for():
    """Nobody else is evicted while enough is on its way out."""
    decision = choose(
        model("c", 50, waiting_since=99.0),
        model("a", 50, State.STOPPING),
        ready("b", 50),
    )
    assert (decision.start, decision.stop, decision.closed) == ((), (), frozenset())


def test_it_can_never_fit():
    """Larger than the budget, or beside what is never unloaded."""
    decision = choose(model("a", 101, waiting_since=99.0), ready("b"))
    assert "budget" in decision.impossible["a"]
    assert decision.stop == ()
    decision = choose(model("a", waiting_since=99.0), ready("p", permanent=True))
    assert "`p`" in decision.impossible["a"]


def test_a_permanent_one_is_never_chosen():
    """Others go in its place."""
    decision = choose(
        model("c", 50, waiting_since=99.0),
        ready("p", 50, permanent=True, idle_since=1.0),
        ready("a", 50, idle_since=90.0),
    )
    assert decision.stop == ("a",)


def test_ttl():
    """Idle for its `ttl` it goes; before that it is decided again then; `None` stays."""
    assert choose(ready("a", idle_since=40.0, ttl_s=60.0)).stop == ("a",)
    assert choose(ready("a", idle_since=40.0, ttl_s=61.0)).wake_at == 101.0
    assert choose(ready("a", idle_since=40.0, ttl_s=None)).wake_at is None
    assert choose(ready("a", idle_since=40.0, ttl_s=0.0, busy=True)).stop == ()
    assert choose(ready("a", ttl_s=0.0, waiting_since=1.0, closed=True)).stop == ()


def test_shared_claims_count_once():
    """A mapped file is in memory once."""
    one = (Claim(pool="host", bytes=80, shared="w"), Claim(pool="host", bytes=5))
    assert claimed_bytes([one, one, one], "host") == 95
    decision = choose(
        model("a", claims=one, waiting_since=99.0),
        ready("b", claims=one),
    )
    assert decision.start == ("a",)


CANDIDATES = st.lists(
    st.builds(
        lambda state, sizes, shared, permanent, busy, closed, waiting, idle, since, ttl: (
            state,
            tuple(
                Claim(pool=pool, bytes=size, shared=shared if pool == "p" else None)
                for pool, size in sizes.items()
            ),
            permanent,
            busy and state is State.READY,
            closed and state is State.READY,
            waiting,
            idle,
            since,
            ttl,
        ),
        st.sampled_from(State),
        st.dictionaries(st.sampled_from("pq"), st.integers(0, 80), max_size=2),
        st.sampled_from([None, "w"]),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.none() | st.floats(0, 100),
        st.floats(0, 100),
        st.floats(0, 100),
        st.none() | st.floats(0, 100),
    ),
    max_size=7,
)


@given(CANDIDATES)
def test_whatever_the_table(rows):
    """Starts fit beside all that claim; only idle, evictable models are stopped; only ready and
    evictable ones are closed; the answer does not depend on the order of the table."""
    names = ("state", "claims", "permanent", "busy", "closed", "waiting_since")
    names = (*names, "idle_since", "ready_since", "ttl_s")
    models = [
        Candidate(name=f"m{n}", **dict(zip(names, row, strict=True))) for n, row in enumerate(rows)
    ]
    table = {m.name: m for m in models}
    pools = {"p": 100, "q": 100}
    decision = decide(models, pools, now=100.0, min_residency_s=10.0)
    occupying = [m.claims for m in models if m.state in OCCUPYING]
    starting = [table[name].claims for name in decision.start]
    for pool, budget in pools.items():
        assert (
            not starting
            or claimed_bytes(occupying + starting, pool) <= budget
            or (
                claimed_bytes(occupying, pool) > budget
                and claimed_bytes(occupying + starting, pool) == claimed_bytes(occupying, pool)
            )
        )
    for name in decision.start:
        assert table[name].state is State.STOPPED
        assert table[name].waiting_since is not None
    for name in (*decision.stop, *decision.closed):
        assert table[name].state is State.READY
    for name in decision.stop:
        m = table[name]
        assert not m.busy
        expired = m.ttl_s is not None and m.idle_since + m.ttl_s <= 100.0
        assert expired or (not m.permanent and m.ready_since + 10.0 <= 100.0)
    for name in decision.closed:
        assert not table[name].permanent
        assert table[name].ready_since + 10.0 <= 100.0
    assert not set(decision.stop) & decision.closed
    again = decide(reversed(models), pools, now=100.0, min_residency_s=10.0)
    assert set(again.start) == set(decision.start)
    assert set(again.stop) == set(decision.stop)
    assert again.closed == decision.closed


# --- several pools


def on(name, state=State.STOPPED, *, alone=False, **fields):
    """`gpu0=6` is a claim of 6; the model computes on the devices that it claims, or on the CPU."""
    pools = {p: fields.pop(p) for p in ("host", "gpu0", "gpu1") if p in fields}
    devices = tuple(p for p in pools if p != "host") or ("host",)
    return model(
        name,
        state=state,
        claims=tuple(Claim(pool=p, bytes=b) for p, b in pools.items()),
        devices=devices,
        alone=devices if alone else (),
        **fields,
    )


DEVICES = {"host": 100, "gpu0": 10, "gpu1": 10}


def test_room_on_a_device_is_made_on_that_device():
    """Those who hold nothing of the scarce pool stay, however long they have been idle."""
    decision = choose(
        on("new", host=1, gpu1=8, waiting_since=99.0),
        on("cpu", State.READY, host=50, idle_since=1.0),
        on("zero", State.READY, host=1, gpu0=8, idle_since=2.0),
        on("one", State.READY, host=1, gpu1=8, idle_since=90.0),
        pools=DEVICES,
    )
    assert decision.stop == ("one",)


def test_a_busy_one_on_the_scarce_device_is_closed():
    """Idle ones elsewhere are not evicted in its place."""
    decision = choose(
        on("new", host=1, gpu1=8, waiting_since=99.0),
        on("zero", State.READY, host=1, gpu0=8, idle_since=2.0),
        on("one", State.READY, host=1, gpu1=8, busy=True),
        pools=DEVICES,
    )
    assert (decision.stop, decision.closed) == ((), frozenset({"one"}))


def test_room_on_two_pools_at_once():
    """What needs two devices evicts on both, and on no third."""
    decision = choose(
        on("split", host=1, gpu0=8, gpu1=8, waiting_since=99.0),
        on("cpu", State.READY, host=10, idle_since=0.0),
        on("zero", State.READY, host=1, gpu0=8, idle_since=2.0),
        on("one", State.READY, host=1, gpu1=8, idle_since=3.0),
        pools=DEVICES,
    )
    assert sorted(decision.stop) == ["one", "zero"]


def test_host_memory_alone_is_short():
    """Then the device does not matter: the least recently used of those who hold host memory."""
    decision = choose(
        on("new", host=60, gpu1=2, waiting_since=99.0),
        on("zero", State.READY, host=50, gpu0=8, idle_since=2.0),
        on("cpu", State.READY, host=50, idle_since=3.0),
        pools=DEVICES | {"host": 110},
    )
    assert decision.stop == ("zero",)


def test_alone_evicts_on_its_devices_only():
    """Whoever is on the device has to go, although there would be memory; others stay."""
    decision = choose(
        on("big", host=1, gpu0=2, alone=True, waiting_since=99.0),
        on("zero", State.READY, host=1, gpu0=2),
        on("one", State.READY, host=1, gpu1=2),
        on("cpu", State.READY, host=1),
        pools=DEVICES,
    )
    assert decision.stop == ("zero",)


def test_who_is_alone_goes_for_another():
    """A model asked for on that device takes its place instead of joining it; elsewhere it starts
    at once."""
    alone = on("big", State.READY, host=1, gpu0=2, alone=True)
    decision = choose(
        alone,
        on("zero", host=1, gpu0=2, waiting_since=99.0),
        on("one", host=1, gpu1=2, waiting_since=99.5),
        pools=DEVICES,
    )
    assert (decision.start, decision.stop) == (("one",), ("big",))


def test_alone_without_a_device():
    """It shares the CPU with no other model; models on devices stay."""
    decision = choose(
        on("big", host=1, alone=True, waiting_since=99.0),
        on("cpu", State.READY, host=1),
        on("zero", State.READY, host=1, gpu0=1),
        pools=DEVICES,
    )
    assert decision.stop == ("cpu",)


def test_alone_beside_a_permanent_one():
    """Nobody waits for what never comes: the reason is said."""
    decision = choose(
        on("big", host=1, gpu0=2, alone=True, waiting_since=99.0),
        on("zero", State.READY, host=1, gpu0=2, permanent=True),
        pools=DEVICES,
    )
    assert list(decision.impossible) == ["big"]
    assert decision.stop == ()


def test_a_reload_that_says_alone():
    """Whoever shares the device then goes, without a request."""
    decision = choose(
        on("big", State.READY, host=1, gpu0=2, alone=True, permanent=True),
        on("zero", State.READY, host=1, gpu0=2),
        pools=DEVICES,
    )
    assert decision.stop == ("zero",)


@st.composite
def crowds(draw):
    """Loaded models that fit, and one that waits."""
    budgets = {p: draw(st.integers(4, 20)) for p in DEVICES}
    loaded = []
    for i in range(draw(st.integers(0, 6))):
        pools = draw(st.dictionaries(st.sampled_from(list(DEVICES)), st.integers(1, 9), min_size=1))
        one = on(
            f"m{i}",
            State.READY,
            alone=draw(st.integers(0, 4)) == 0,
            idle_since=draw(st.floats(0, 50)),
            busy=draw(st.booleans()),
            **pools,
        )
        if together([*loaded, one], budgets):
            loaded.append(one)
    pools = draw(st.dictionaries(st.sampled_from(list(DEVICES)), st.integers(1, 9), min_size=1))
    new = on("new", waiting_since=99.0, alone=draw(st.integers(0, 4)) == 0, **pools)
    return loaded, new, budgets


def together(models, budgets):
    claims = [m.claims for m in models]
    if any(claimed_bytes(claims, pool) > size for pool, size in budgets.items()):
        return False
    return not any(set(a.alone) & set(b.devices) for a in models for b in models if a is not b)


@given(crowds())
def test_evictions_are_needed(crowd):
    """Whatever pools and `alone` there are: who goes makes room, each of them is needed, and each
    holds something of a pool that is short or stands on a device that is to be alone."""
    loaded, new, budgets = crowd
    decision = choose(*loaded, new, pools=budgets)
    gone = set(decision.stop) | decision.closed
    staying = [m for m in loaded if m.name not in gone]
    if not together([new], budgets):
        assert list(decision.impossible) == ["new"]
        assert not gone
        return
    assert together([*staying, new], budgets)
    assert (decision.start == ("new",)) == (not gone)
    short = {
        pool
        for pool, size in budgets.items()
        if claimed_bytes([m.claims for m in (*loaded, new)], pool) > size
    }
    for victim in (m for m in loaded if m.name in gone):
        assert not together([*staying, new, victim], budgets)
        holds = {claim.pool for claim in victim.claims} & short
        assert holds or set(victim.alone) & set(new.devices) or set(new.alone) & set(victim.devices)
