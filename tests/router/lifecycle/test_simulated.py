"""The lifecycle in simulated time: what holds for any arrival of requests and deaths."""

import asyncio
import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdecl.router.config import Claim
from llmdecl.router.operator import Operator
from llmdecl.router.ports import Refused

from .virtual import config, keep, model, simulate, use

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 60), st.sampled_from("abc"), st.floats(0, 4)), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(
    ARRIVALS,
    st.lists(st.integers(10, 100), min_size=3, max_size=3),
    st.floats(0.5, 20),
    st.floats(5, 60),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)),
    st.lists(st.floats(0, 60), max_size=4),
    st.lists(st.tuples(st.floats(0, 60), st.sampled_from("abc")), max_size=3),
)
def test_every_request_is_answered_or_refused_in_time(
    arrivals, sizes, residency, patience, fails, crashes, leavers
):
    """Whatever arrives, dies, fails or leaves: budgets hold, nobody busy is evicted (the world
    asserts both), and each request gets its answer within the bounds of queue and start."""

    async def work():
        models = [model(name, size) for name, size in zip("abc", sizes, strict=True)]
        limits = {"min_residency_s": residency, "queue_timeout_s": patience}
        keeper, world = keep(config(*models, **limits))
        world.fails = dict(fails)

        async def client(at, name, seconds):
            await asyncio.sleep(at)
            begin = keeper.loop.time()
            with contextlib.suppress(Refused):
                await use(keeper, name, seconds)
            assert keeper.loop.time() - begin <= patience + 30 + 2 + seconds

        async def leaver(at, name):
            await asyncio.sleep(at)
            with contextlib.suppress(TimeoutError, Refused):
                async with asyncio.timeout(1.5):
                    await use(keeper, name, 5)

        async def reaper(at):
            await asyncio.sleep(at)
            for process in world.alive()[:1]:
                world.end(process.pid)

        async with asyncio.TaskGroup() as group:
            for arrival in arrivals:
                group.create_task(client(*arrival))
            for leave in leavers:
                group.create_task(leaver(*leave))
            for at in crashes:
                group.create_task(reaper(at))
        await asyncio.sleep(200)
        for resident in keeper.residents.values():
            assert not resident.queue
            assert not resident.leases
            assert resident.state.value in {"ready", "stopped"}
        await keeper.close()

    simulate(work)


@settings(max_examples=60, deadline=None)
@given(ARRIVALS, st.floats(0.5, 20))
def test_swaps_are_bounded_by_time(arrivals, residency):
    """With one place for three models there is at most one swap each `min_residency`."""

    async def work():
        keeper, world = keep(config(*map(model, "abc"), min_residency_s=residency))
        begin = keeper.loop.time()

        async def client(at, name, seconds):
            await asyncio.sleep(at)
            with contextlib.suppress(Refused):
                await use(keeper, name, seconds)

        async with asyncio.TaskGroup() as group:
            for arrival in arrivals:
                group.create_task(client(*arrival))
        assert len(world.starts) <= (keeper.loop.time() - begin) / residency + 1
        await keeper.close()

    simulate(work)


def test_nobody_starves():
    """While callers of one model never pause, another model's caller gets its turn: after the
    residency, the longest request, a stop and a load."""

    async def work():
        keeper, world = keep(config(model("busy"), model("rare"), min_residency_s=5.0))

        async def pull():
            while True:
                await use(keeper, "busy", 2.0)

        pullers = [asyncio.create_task(pull()) for _ in range(5)]
        await asyncio.sleep(20.7)
        waited = await use(keeper, "rare", 0.1)
        assert waited <= 2.0 + world.term_s + world.load_s + 0.1
        waited = await use(keeper, "rare", 0.1)
        assert waited == 0
        await asyncio.sleep(10)
        assert keeper.residents["busy"].leases
        for puller in pullers:
            puller.cancel()
        await asyncio.gather(*pullers, return_exceptions=True)
        await keeper.close()

    simulate(work)


def test_fifty_clients_of_two_models_are_two_batches():
    """However they arrive within a residency, there are two loads."""

    async def work():
        keeper, world = keep(config(model("a"), model("b"), min_residency_s=10.0))
        async with asyncio.TaskGroup() as group:
            for n in range(50):
                group.create_task(use(keeper, "ab"[n % 2], 0.5 + n / 100))
        assert len(world.starts) == 2
        await keeper.close()

    simulate(work)


def test_supervisord_away():
    """Requests get 503 with `Retry-After`, and are served again when it is back."""

    async def work():
        keeper, world = keep(config(model("a")))
        world.unavailable = True
        for _ in range(3):
            with pytest.raises(Refused) as refused:
                await keeper.acquire("a")
            assert refused.value.status == 503
            assert refused.value.retry_after_s == 1
        world.unavailable = False
        await asyncio.sleep(1.1)
        await use(keeper, "a", 0)
        await keeper.close()

    simulate(work)


def test_an_abandoned_slot_is_busy_until_it_is_idle():
    """After a client left, its model is neither unloaded nor evicted before `/slots` is quiet;
    but not for ever."""

    async def work():
        keeper, world = keep(config(model("a", ttl_s=0.0), min_residency_s=0.0))
        world.slots["a.sock"] = 1
        lease = await keeper.acquire("a")
        keeper.release(lease, abandoned=True)
        await asyncio.sleep(10)
        assert world.stops == []
        assert keeper.states()["a"] == "ready"
        gaps = [b - a for a, b in pairwise(world.asked)]
        assert min(gaps) > 1.1, "llama-server must see a second without tasks"
        world.slots["a.sock"] = 0
        await asyncio.sleep(2)
        assert keeper.states()["a"] == "stopped"
        world.slots["a.sock"] = 1
        lease = await keeper.acquire("a")
        keeper.release(lease, abandoned=True)
        await asyncio.sleep(40)
        assert keeper.states()["a"] == "stopped"
        await keeper.close()

    simulate(work)


def test_a_hung_model_is_not_waited_for_longer_than_a_busy_one():
    """However long each question for its slots takes."""

    async def work():
        keeper, world = keep(config(model("a", ttl_s=0.0), min_residency_s=0.0))
        world.slots["a.sock"], world.slots_s = None, 2.0
        lease = await keeper.acquire("a")
        keeper.release(lease, abandoned=True)
        await asyncio.sleep(36)
        assert keeper.states()["a"] == "stopped"
        await keeper.close()

    simulate(work)


def test_a_wait_that_is_cancelled_leaves_nothing_behind():
    """Neither a place in the queue nor a lease, at whatever moment it comes."""

    async def work():
        for after in (0.0, 0.001, 0.5, 1.004, 1.0041, 1.01, 1.02, 1.03, 1.04, 1.05):
            keeper, _ = keep(config(model("a")))
            task = asyncio.create_task(keeper.acquire("a"))
            await asyncio.sleep(after)
            keeper.loop.call_soon(task.cancel)
            lease = None
            with contextlib.suppress(asyncio.CancelledError):
                lease = await task
            resident = keeper.residents["a"]
            assert len(resident.leases) == (lease is not None)
            assert not resident.queue
            await keeper.close()

    simulate(work)


def test_a_lease_is_released_once():
    """A second release of the same lease does not free somebody else's."""

    async def work():
        keeper, _ = keep(config(model("a")))
        first, second = await keeper.acquire("a"), await keeper.acquire("a")
        keeper.release(first)
        keeper.release(first)
        assert keeper.residents["a"].leases == {second}
        await keeper.close()

    simulate(work)


def test_a_startup_model_that_fails_is_tried_again():
    """With the pauses of the back-off, until it starts."""

    async def work():
        keeper, world = keep(config(model("s", load="startup", ttl_s=None)))
        world.fails["s"] = 4
        await asyncio.sleep(60)
        assert keeper.states()["s"] == "ready"
        at = [when for when, _ in world.starts]
        pauses = [round(b - a - 0.5, 1) for a, b in pairwise(at)]
        assert pauses == [1.0, 2.0, 4.0, 8.0]
        await keeper.close()

    simulate(work)


def test_a_hold_in_the_midst_of_everything():
    """Requests queue while it lasts and are served after it."""

    async def work():
        keeper, world = keep(config(model("a")))
        world.may_cut = True
        operator = Operator(keeper)
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(use(keeper, "a", 1.0)) for _ in range(3)]
            await asyncio.sleep(0.5)
            await operator.hold("a")
            assert world.alive() == []
            await asyncio.sleep(5)
            assert keeper.queued("a") == 3
            await operator.release("a")
        assert all(client.result() > 5 for client in clients)
        await keeper.close()

    simulate(work)


PLACES = st.tuples(
    st.dictionaries(st.sampled_from(["gpu0", "gpu1"]), st.integers(1, 10)),
    st.integers(1, 40),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(ARRIVALS, st.lists(PLACES, min_size=3, max_size=3), st.floats(0, 5))
def test_several_pools(arrivals, places, residency):
    """Models on two devices and the host, some of them alone: no pool is overdrawn, nobody is
    beside one that is alone (the world asserts both), and everyone is served, since each fits."""

    async def work():
        models = []
        for name, (devices, host, alone) in zip("abc", places, strict=True):
            on = tuple(sorted(devices)) or ("host",)
            claims = {"host": host, **devices}
            models.append(
                model(
                    name,
                    claims=tuple(Claim(pool=p, bytes=b) for p, b in sorted(claims.items())),
                    devices=on,
                    alone=on if alone else (),
                )
            )
        pools = {"host": 60, "gpu0": 10, "gpu1": 10}
        limits = {"min_residency_s": residency, "queue_timeout_s": 1000.0, "pools": pools}
        keeper, _ = keep(config(*models, **limits))

        async def client(at, name, seconds):
            await asyncio.sleep(at)
            await use(keeper, name, seconds)

        async with asyncio.TaskGroup() as group:
            for arrival in arrivals:
                group.create_task(client(*arrival))
        await keeper.close()

    simulate(work)


def test_a_swap_on_one_device_leaves_the_other_alone():
    """A request that needs room on one device stops only who is there."""

    async def work():
        def on(device, name):
            claims = (Claim(pool="host", bytes=1), Claim(pool=device, bytes=8))
            return model(name, claims=claims, devices=(device,))

        models = (on("gpu0", "a"), on("gpu1", "b"), on("gpu1", "c"))
        pools = {"host": 60, "gpu0": 10, "gpu1": 10}
        keeper, world = keep(config(*models, min_residency_s=0.0, pools=pools))
        for name in "abc":
            await use(keeper, name, 0.1)
        assert [name for _, name in world.stops] == ["b"]
        await keeper.close()

    simulate(work)
