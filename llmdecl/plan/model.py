"""The plan: everything decided, a reason beside each setting, nothing left to run time."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.memory.model import MemoryPart as MemoryPart  # noqa: PLC0414  # part of a plan
from llmdecl.values import Value

LOOPBACK = "127.0.0.1"
"""The host of what listens on ports and is nobody else's business."""


class Root(StrEnum):
    """A folder that only the machine knows. Emitters render it in their language."""

    STATE = "{state}"
    RUN = "{run}"
    STORE = "{store}"


class Word(Value, frozen=True, kw_only=True):
    """One argument: `root` (when it is a path below one) followed by `text`.

    `Word(root=Root.STORE, text="/weights/ab/model.gguf")` is a path in the store.
    """

    text: str
    root: Root | None = None


class Setting(Value, frozen=True, kw_only=True):
    """One flag as it will be passed, and why.

    `flag` is spelled as this engine spells it; `values` are its arguments (none for a switch).
    `address` is the spec key that decided it or would change it; `reason` is a phrase such as
    "the spec says so", "default", "host has 8 cores".
    """

    flag: str
    values: tuple[Word, ...]
    address: str
    reason: str


class SamplingPlan(Value, frozen=True, kw_only=True):
    """A request's JSON key and the value it gets when the request brings none."""

    key: str
    value: float | int


class WeightsPlan(Value, frozen=True, kw_only=True):
    """A pinned file that a model reads: main weights, draft, projector or adapter."""

    role: Literal["model", "draft", "mmproj", "lora"]
    source: str
    digest: str
    size_bytes: int


class PlacementPlan(Value, frozen=True, kw_only=True):
    """Where a model goes: numbers, as they are passed.

    `devices` are ids in the order of `--device`, `engine_devices` the engine's own names in the
    same order (`CUDA0`, as the model's process sees them); without any the CPU has everything.
    `n_gpu_layers` of `n_layers` (blocks and output) are on devices, `layers` of them on each.
    `tensor_split` is what is passed, empty with one device. `n_cpu_moe` blocks have their experts
    on the CPU; `overrides` are `(regular expression, buffer)` with `CPU` or a device's id, those of
    `n_cpu_moe` written out after those of the spec. `served` are all devices behind the RPC servers
    that it uses: a server has one client at a time, so no other model is on any of them.
    """

    devices: tuple[str, ...] = ()
    engine_devices: tuple[str, ...] = ()
    n_gpu_layers: int = 0
    n_layers: int = 0
    layers: tuple[int, ...] = ()
    split_mode: Literal["none", "layer", "row", "tensor"] = "layer"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    n_cpu_moe: int = 0
    overrides: tuple[tuple[str, str], ...] = ()
    kv_offload: bool = True
    op_offload: bool = False
    no_host: bool = False
    served: tuple[str, ...] = ()


class ModelPlan(Value, frozen=True, kw_only=True):
    """One model's process, complete.

    `settings` and `environment` in the order they are passed. `digest` is a SHA-256 over all that
    the process reads (argv, environment, weights, engine): equal digests mean the running process
    is as planned. `n_ctx_slot` is what one request may use, `n_ctx` what the engine is given.
    `socket` is a file name in the run folder; it listens on `port` of loopback instead where there
    is one. `ttl_s` is `None` for never.
    """

    name: str
    aliases: tuple[str, ...]
    task: Literal["chat", "completion", "embedding", "rerank"]
    engine: str
    executable: Word
    settings: tuple[Setting, ...]
    environment: tuple[tuple[str, str], ...]
    weights: tuple[WeightsPlan, ...]
    socket: str
    n_ctx: int
    n_ctx_slot: int
    parallel: int
    ttl_s: float | None
    load: Literal["demand", "startup"]
    start_timeout_s: float
    sampling: tuple[SamplingPlan, ...]
    system_prompt: str | None
    placement: PlacementPlan = PlacementPlan()
    """Default: what plans without it meant, everything on the CPU."""
    alone: bool = False
    """Never shares a device with another model; without devices, not the CPU."""
    port: int | None = None
    listens: tuple["Address", ...] = ()
    """Where systemd listens for it, when no router does."""
    memory: tuple[MemoryPart, ...]
    digest: str
    reasons: Mapping[str, str]
    """Why `ttl`, `load`, `task` ... are as they are, by spec key: what no flag carries."""

    @property
    def address(self) -> str:
        """`models.NAME`, as the spec would write it."""
        return next((s.address for s in self.settings if s.flag == "--alias"), self.name)

    def argv(self) -> tuple[Word, ...]:
        """Executable and arguments, as passed."""
        words = [self.executable]
        for setting in self.settings:
            words.append(Word(text=setting.flag))
            words.extend(setting.values)
        return tuple(words)


class Address(Value, frozen=True, kw_only=True):
    """`host` and `port` of a TCP listener, or the `path` of a unix socket."""

    host: str | None = None
    port: int | None = None
    path: str | None = None


class EndpointPlan(Value, frozen=True, kw_only=True):
    """A listener and the models (by name, sorted) that it serves."""

    name: str
    listen: Address
    apis: tuple[str, ...]
    models: tuple[str, ...]
    api_keys_file: str | None


class EnginePlan(Value, frozen=True, kw_only=True):
    """An engine that some model uses."""

    name: str
    digest: str
    executable: Word
    version: str
    recipe: BuildRecipe | None = None
    """How it is built, when that is llmdecl's work."""


class RouterPlan(Value, frozen=True, kw_only=True):
    """Which router, and its limits; seconds and counts. `path` is the binary of one that is not
    ours; `None`: nobody said, so it can be written for but not run."""

    kind: Literal["llmdecl", "llama-swap", "none"] = "llmdecl"
    path: str | None = None

    drain_timeout_s: float
    queue_timeout_s: float
    queue_size: int
    min_residency_s: float

    @property
    def runs(self) -> bool:
        """Whether a manager can start it."""
        return self.kind != "llama-swap" or self.path is not None


class Budget(Value, frozen=True, kw_only=True):
    """What models may use of a pool: total less margin."""

    pool: str
    total_bytes: int
    margin_bytes: int

    @property
    def bytes(self) -> int:
        """Total less margin."""
        return self.total_bytes - self.margin_bytes


class DevicePlan(Value, frozen=True, kw_only=True):
    """An accelerator of the host.

    `engine_name` is what an engine without restrictions calls it through `backend`: models are
    told by `uuid` where there is one. `shares_host_memory`: what it holds beyond
    `dedicated_bytes` is the host's memory, and counts there too.
    """

    id: str
    backend: str
    name: str
    memory_bytes: int
    engine_name: str
    architecture: str | None
    uuid: str | None
    endpoint: str | None
    integrated: bool
    shares_host_memory: bool
    dedicated_bytes: int


class ResidencyGroup(Value, frozen=True, kw_only=True):
    """Models that compete for memory or devices, and the maximal sets of them that fit, sorted.

    `complete` is false when there are too many to list: then every two models that may be loaded
    together are together in some set. A set allows every part of it.
    """

    models: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]
    complete: bool = True


class Residency(Value, frozen=True, kw_only=True):
    """Which models may be loaded together: the permanent ones, and any set of each group.

    `without_startup` are sets of their own, beside the models that are never unloaded: with models
    that have no room until some that were loaded at start are unloaded.
    """

    permanent: tuple[str, ...] = ()
    groups: tuple[ResidencyGroup, ...] = ()
    without_startup: ResidencyGroup | None = None

    @property
    def complete(self) -> bool:
        """Whether all maximal sets are listed."""
        late = (self.without_startup,) if self.without_startup else ()
        return all(group.complete for group in (*self.groups, *late))


class Plan(Value, frozen=True, kw_only=True):
    """A compiled stack. Models, endpoints and engines are sorted by name.

    `budgets` has one row a pool: `host`, then every device by its id.
    """

    schema: int = 1
    host: str
    manager: Literal["supervisord", "systemd", "systemd-user"]
    engines: tuple[EnginePlan, ...]
    models: tuple[ModelPlan, ...]
    endpoints: tuple[EndpointPlan, ...]
    router: RouterPlan
    devices: tuple[DevicePlan, ...] = ()
    """In the order of the spec, or of detection."""
    budgets: tuple[Budget, ...]
    residency: Residency = Residency()
    socket_activation: bool = False
    """systemd listens for the router."""
