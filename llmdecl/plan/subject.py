"""One model with everything known and decided about it: what checks look at."""

from collections.abc import Iterable
from dataclasses import dataclass

from llmdecl.engines.choice import Chooser
from llmdecl.engines.flags import Misuse, Use
from llmdecl.engines.llama_cpp.placement import Wishes
from llmdecl.engines.llama_cpp.server import Server
from llmdecl.engines.llama_cpp.writer import Lacking
from llmdecl.facts.model import DeviceFacts, GgufFacts
from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import MemoryPart, RunParameters
from llmdecl.plan.devices import usual
from llmdecl.plan.lifecycle import Lifecycle
from llmdecl.plan.model import Budget, DevicePlan, PlacementPlan, Setting
from llmdecl.plan.placement import Kind
from llmdecl.plan.supply import Pinned, PinnedEngine
from llmdecl.spec.schema import Model, Spec


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The host as the stack is planned for: declared where the spec declares, else detected.

    `budgets` has the host's own row first, then one a device.
    """

    name: str
    cores: int
    features: tuple[str, ...]
    budget: Budget
    ram_address: str | None
    """Where the spec declares the memory; `None`: it was detected."""
    found: tuple[DeviceFacts, ...]
    """Devices as facts; `devices` are the same, each by its best backend."""
    devices: tuple[DevicePlan, ...]
    budgets: tuple[Budget, ...]

    def pool_bytes(self, pool: str) -> int:
        """What models may use of a pool."""
        return next(budget.bytes for budget in self.budgets if budget.pool == pool)


@dataclass(frozen=True, slots=True)
class Beside:
    """What stays loaded beside a model: parts of the permanent residents.

    Devices in `closed` are taken by a model that is `alone`, or have neighbours that a model which
    is `alone` does not bear.
    """

    parts: tuple[MemoryPart, ...] = ()
    closed: frozenset[str] = frozenset()

    def left(
        self, host: HostPlan, parts: tuple[MemoryPart, ...], pools: Iterable[str] = ()
    ) -> dict[str, int]:
        """Bytes left of the host, of `pools` and of every device in `parts`, once all is loaded."""
        both = (*self.parts, *parts)
        return {
            pool: (0 if pool in self.closed else host.pool_bytes(pool)) - total_bytes(both, pool)
            for pool in dict.fromkeys(("host", *pools, *(part.pool for part in parts)))
        }


@dataclass(frozen=True, slots=True)
class Resolved:
    """One model with every setting decided but where it goes."""

    name: str
    spec: Spec
    model: Model
    pick: Chooser
    host: HostPlan
    engine: PinnedEngine
    weights: Pinned
    gguf: GgufFacts
    draft: Pinned | None
    mmproj: Pinned | None
    reach: tuple[DevicePlan, ...]
    """All devices of the host that its engine has a backend for."""
    loras: tuple[Pinned, ...]
    server: Server
    wishes: Wishes
    run: RunParameters
    life: Lifecycle
    extra_address: str
    extra: tuple[Use, ...]
    misuses: tuple[Misuse, ...]
    given_environment: tuple[tuple[str, str], ...]
    environment_address: str

    def address(self, key: str) -> str:
        """`models.NAME.key`."""
        return self.pick.address(key)

    @property
    def resident(self) -> bool:
        """Loaded at start or never unloaded."""
        return self.life.load.value == "startup" or self.life.ttl_s is None

    @property
    def devices(self) -> tuple[DevicePlan, ...]:
        """Devices that it may use, in the order of `--device`, as its engine reaches them."""
        if self.wishes.devices is None:
            return usual(self.reach)
        known = {device.id: device for device in self.reach}
        return tuple(known[name] for name in self.wishes.devices.value if name in known)


@dataclass(frozen=True, slots=True)
class Subject(Resolved):
    """One model in its place.

    `settings` are the compiler's own flags; `extra` and `misuses` come from `extra-args`. `left`
    is what remains of each pool that it touches, with `beside` loaded.
    """

    beside: Beside
    kind: Kind
    placement: PlacementPlan
    memory: tuple[MemoryPart, ...]
    left: dict[str, int]
    settings: tuple[Setting, ...]
    lacking: tuple[Lacking, ...]
    environment: tuple[tuple[str, str], ...]

    @property
    def host_bytes(self) -> int:
        """What the model takes of host memory when it is alone."""
        return total_bytes(self.memory)

    @property
    def pools(self) -> tuple[str, ...]:
        """The host, and the devices that it is on."""
        return ("host", *self.placement.devices)
