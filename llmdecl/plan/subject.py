"""One model with everything known and decided about it: what checks look at."""

from dataclasses import dataclass

from llmdecl.engines.choice import Chooser
from llmdecl.engines.flags import Misuse, Use
from llmdecl.engines.llama_cpp.server import Server
from llmdecl.engines.llama_cpp.writer import Lacking
from llmdecl.facts.model import GgufFacts
from llmdecl.memory.estimate import total_bytes
from llmdecl.memory.model import MemoryPart, RunParameters
from llmdecl.plan.lifecycle import Lifecycle
from llmdecl.plan.model import Budget, Setting
from llmdecl.plan.supply import Pinned, PinnedEngine
from llmdecl.spec.schema import Model, Spec


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The host as the stack is planned for: declared where the spec declares, else detected."""

    name: str
    cores: int
    features: tuple[str, ...]
    budget: Budget
    ram_address: str | None
    """Where the spec declares the memory; `None`: it was detected."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`settings` are the compiler's own flags; `extra` and `misuses` come from `extra-args`."""

    name: str
    spec: Spec
    model: Model
    pick: Chooser
    host: HostPlan
    engine: PinnedEngine
    weights: Pinned
    gguf: GgufFacts
    draft: Pinned | None
    loras: tuple[Pinned, ...]
    server: Server
    run: RunParameters
    life: Lifecycle
    settings: tuple[Setting, ...]
    lacking: tuple[Lacking, ...]
    extra_address: str
    extra: tuple[Use, ...]
    misuses: tuple[Misuse, ...]
    environment: tuple[tuple[str, str], ...]
    environment_address: str
    memory: tuple[MemoryPart, ...]

    def address(self, key: str) -> str:
        """`models.NAME.key`."""
        return self.pick.address(key)

    @property
    def host_bytes(self) -> int:
        """What the model takes of host memory when it is alone."""
        return total_bytes(self.memory)

    @property
    def resident(self) -> bool:
        """Loaded at start or never unloaded."""
        return self.life.load.value == "startup" or self.life.ttl_s is None
