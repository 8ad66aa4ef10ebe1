"""The real lifecycle in simulated time: a loop whose clock jumps, and a world without processes."""

import asyncio
import selectors
from dataclasses import dataclass, field

from llmdecl.router.config import Claim, ModelConfig, PoolConfig, RouterConfig
from llmdecl.router.lifecycle import Keeper
from llmdecl.router.scheduler import claimed_bytes
from llmdecl.router.world import StartError


class _Selector(selectors.SelectSelector):
    loop = None

    def select(self, timeout=None):
        assert timeout is not None, "nothing is scheduled and somebody waits: a deadlock"
        if timeout > 0:
            self.loop.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeping takes no time."""

    def __init__(self):
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self):
        return self.now


def simulate(work):
    """Run a coroutine function in simulated time."""
    faults = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        result = runner.run(work())
    assert not faults, faults
    return result


@dataclass
class FakeProcess:
    pid: int
    model: ModelConfig
    ready_at: float
    gone: list = field(default_factory=list)
    alive: bool = True


@dataclass
class FakeWorld:
    """Processes as records; it asserts what the lifecycle promises when it is asked for effects."""

    load_s: float = 1.0
    term_s: float = 0.2
    fails: dict = field(default_factory=dict)
    """How many of a model's next starts fail."""
    unavailable: bool = False
    budgets: dict = field(default_factory=dict)
    processes: dict = field(default_factory=dict)
    starts: list = field(default_factory=list)
    stops: list = field(default_factory=list)
    slots: dict = field(default_factory=dict)
    slots_s: float = 0.0
    """How long a question for slots takes."""
    asked: list = field(default_factory=list)
    """When slots were asked for."""
    keeper: Keeper | None = None
    may_cut: bool = False
    """Whether an operator's order may end busy models."""

    def alive(self):
        return [p for p in self.processes.values() if p.alive]

    async def running(self):
        return {p.model.program: p.pid for p in self.alive()}

    async def start(self, model):
        await asyncio.sleep(0.004)
        if self.unavailable:
            raise StartError("supervisord can't be reached", unavailable=True)
        now = asyncio.get_running_loop().time()
        assert model.name not in [p.model.name for p in self.alive()], "started twice"
        claims = [p.model.claims for p in self.alive()] + [model.claims]
        for pool, budget in self.budgets.items():
            assert claimed_bytes(claims, pool) <= budget, "over budget"
        for other in (p.model for p in self.alive()):
            assert not set(other.alone) & set(model.devices), "beside one that is alone"
            assert not set(model.alone) & set(other.devices), "alone beside another one"
        pid = 100 + len(self.processes)
        process = FakeProcess(pid, model, now + self.load_s)
        self.processes[pid] = process
        self.starts.append((now, model.name))
        if self.fails.get(model.name, 0) > 0:
            self.fails[model.name] -= 1
            asyncio.get_running_loop().call_later(self.load_s / 2, self.end, pid)
        return pid

    async def stop(self, model, pid):
        if self.keeper is not None and not self.may_cut:
            resident = self.keeper.residents.get(model.name)
            assert resident is None or not resident.leases, "a busy model is stopped"
        self.stops.append((asyncio.get_running_loop().time(), model.name))
        asyncio.get_running_loop().call_later(self.term_s, self.end, pid)

    async def buried(self, _model, pid):
        assert not self.processes[pid].alive

    def kill(self, pid):
        self.end(pid)

    def end(self, pid):
        process = self.processes[pid]
        if process.alive:
            process.alive = False
            for gone in process.gone:
                asyncio.get_running_loop().call_soon(gone)

    def watch(self, pid, gone):
        if self.processes[pid].alive:
            self.processes[pid].gone.append(gone)
        else:
            asyncio.get_running_loop().call_soon(gone)

    async def healthy(self, socket):
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        return any(p.model.socket == socket and now >= p.ready_at for p in self.alive())

    async def busy_slots(self, socket):
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.slots_s)
        return self.slots.get(socket, 0)

    def digest(self, pid):
        return self.processes[pid].model.digest

    def socket(self, model):
        return model.socket

    async def load_log(self, program):
        return ""

    def log_tail(self, program):
        return f"last words of {program}"


def model(name, size=60, **fields):
    values = {
        "name": name,
        "aliases": (),
        "task": "chat",
        "program": f"model-{name}",
        "socket": f"{name}.sock",
        "digest": "d1",
        "slots": 1,
        "n_ctx": 4096,
        "ttl_s": 1e6,
        "load": "demand",
        "start_timeout_s": 30.0,
        "claims": (Claim(pool="host", bytes=size),),
        "defaults": {},
    }
    return ModelConfig(**{**values, **fields})


def config(*models, **fields):
    values = {
        "drain_timeout_s": 20.0,
        "queue_timeout_s": 60.0,
        "queue_size": 1000,
        "min_residency_s": 5.0,
    }
    pools = fields.pop("pools", {"host": 100})
    return RouterConfig(
        endpoints=(),
        models=models,
        pools=tuple(PoolConfig(name=name, budget_bytes=size) for name, size in pools.items()),
        **{**values, **fields},
    )


def keep(settings, world=None):
    """A keeper that has begun, in the running loop."""
    world = world or FakeWorld()
    world.budgets = {pool.name: pool.budget_bytes for pool in settings.pools}
    world.keeper = keeper = Keeper(settings, world)
    keeper.begin()
    return keeper, world


async def use(keeper, name, seconds, **options):
    """One request: how long it waited."""
    begin = keeper.loop.time()
    lease = await keeper.acquire(name, **options)
    waited = keeper.loop.time() - begin
    try:
        await asyncio.sleep(seconds)
    finally:
        keeper.release(lease)
    return waited
