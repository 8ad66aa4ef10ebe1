"""What is true outside the spec: the machine, the engines, the weights. Recordable as JSON.

Unknown is `None` here and nowhere later.
"""

from collections.abc import Mapping
from enum import StrEnum

from llmdecl.measured import Measured
from llmdecl.values import Value

Scalar = str | int | float | bool


class CpuFacts(Value, kw_only=True, frozen=True):
    """One machine's processors. `features` are the kernel's flag names (`avx2`), sorted."""

    model: str | None
    cores_physical: int
    cores_logical: int
    features: tuple[str, ...]


class MemoryUse(Value, kw_only=True, frozen=True):
    """What one process holds of a device's memory; None where the driver doesn't say.

    `own` is true for a process of an llmdecl stack.
    """

    pid: int | None
    name: str | None
    bytes: int | None
    own: bool = False


class Reach(Value, kw_only=True, frozen=True):
    """A device as one backend has it: drivers differ in names and in how much they give.

    `engine_index` is its number in the backend's own enumeration when nothing is hidden: with the
    backend's prefix it is the engine's name for it (`Vulkan1`). `memory_bytes` and
    `dedicated_bytes` are None where they are the device's.
    """

    name: str | None = None
    engine_index: int | None = None
    memory_bytes: int | None = None
    dedicated_bytes: int | None = None


class DeviceFacts(Value, kw_only=True, frozen=True):
    """An accelerator, once, however many drivers see it.

    `backend` is the ggml backend that it is best reached through, `backends` all of them, best
    first. `memory_bytes` is what can be allocated there; the moment's `free_bytes` and `used_by`
    decide nothing. A MIG instance is a device, the card that it is cut from is none.
    """

    id: str
    backend: str
    name: str | None
    memory_bytes: int
    architecture: str | None
    """`sm_86`, `gfx1100`; a declared one as declared."""
    declared: bool
    backends: tuple[str, ...] = ()
    reach: Mapping[str, Reach] = {}
    """By backend, what differs there; `through` applies it."""
    free_bytes: int | None = None
    driver: str | None = None
    pci: str | None = None
    """`0000:01:00.0`; instances of one card share it."""
    uuid: str | None = None
    """What the backend's variable of visible devices takes (`llmdecl.backends`)."""
    integrated: bool | None = None
    shares_host_memory: bool = False
    """Its memory is the host's: what it holds beyond `dedicated_bytes` counts as RAM as well."""
    dedicated_bytes: int | None = None
    """Of `memory_bytes`, what the system set apart and the kernel doesn't count as RAM."""
    engine_index: int | None = None
    """Its number among its backend's devices, as an engine without restrictions counts."""
    used_by: tuple[MemoryUse, ...] = ()
    endpoint: str | None = None
    """`HOST:PORT` of the `ggml-rpc-server` that it is reached through."""

    def through(self, backend: str) -> "DeviceFacts":
        """The same device as this one of its `backends` has it."""
        reach = self.reach.get(backend, Reach())
        memory = self.memory_bytes if reach.memory_bytes is None else reach.memory_bytes
        dedicated = self.dedicated_bytes
        return self.replace(
            backend=backend,
            memory_bytes=memory,
            dedicated_bytes=dedicated if reach.dedicated_bytes is None else reach.dedicated_bytes,
            engine_index=reach.engine_index,
        )

    def host_bytes(self, used_bytes: int) -> int:
        """How many of `used_bytes` on this device are RAM of the host, too."""
        if not self.shares_host_memory:
            return 0
        return max(0, used_bytes - (self.dedicated_bytes or 0))


class NumaNode(Value, kw_only=True, frozen=True):
    """Memory and the processors near it; `processors` are the kernel's numbers."""

    number: int
    processors: tuple[int, ...]
    memory_bytes: int


class HostFacts(Value, kw_only=True, frozen=True):
    """The machine that a stack is for. `ram_bytes` is what the kernel or a cgroup allows in all."""

    name: str
    cpu: CpuFacts
    ram_bytes: int
    ram_declared: bool
    devices: tuple[DeviceFacts, ...]
    numa: tuple[NumaNode, ...] = ()
    """More than one where memory is not equally near to all processors; empty when unknown."""


class Flag(Value, kw_only=True, frozen=True):
    """One entry of an engine's own `--help`.

    `names` are all spellings that set it; `negatives` those that switch it off (`--no-mmap`).
    `arity` counts the values it takes (0, 1 or 2). `removed` holds the engine's own words when the
    entry is only there to say that it is gone.
    """

    names: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    arity: int = 0
    choices: tuple[str, ...] = ()
    environment: str | None = None
    removed: str | None = None


class EngineDevice(Value, kw_only=True, frozen=True):
    """A line of an engine's `--list-devices`: its own name for a device, and what it says of it.

    `id` is the host's device that it is (`HostFacts.devices`), None when that can't be told.
    """

    name: str
    backend: str
    index: int
    description: str
    memory_bytes: int
    id: str | None = None


class EngineFacts(Value, kw_only=True, frozen=True):
    """One serving program. Its identity is version, commit and SHA-256 of the binary, together."""

    kind: str
    provider: str
    executable: str
    """`{store}/...` for an engine of the store, else an absolute path."""
    binary_sha256: str | None
    """None for an engine that is built here, as long as it is not."""
    version: str
    build: int | None
    commit: str | None
    flags: tuple[Flag, ...]
    devices: tuple[EngineDevice, ...] | None = None
    """What its `--list-devices` says on this machine; None when it was not asked."""
    cpu_features: tuple[str, ...] = ()
    """Processor features, by the kernel's names, without which the binary dies of SIGILL."""
    backends: tuple[str, ...] | None = None
    """ggml backends that it was built with beside the CPU's; None when nobody looked."""
    present: bool = True


class TensorGroup(Value, kw_only=True, frozen=True):
    """Tensors of one type and shape whose names differ only in the block number.

    `name` has `*` for the block (`blk.*.attn_q.weight`); `blocks` are block numbers, or empty
    for a tensor outside the blocks. `shape` is in GGUF order (fastest dimension first).
    """

    name: str
    type: str
    shape: tuple[int, ...]
    blocks: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """How many tensors it stands for."""
        return max(1, len(self.blocks))


class VocabularyFacts(Value, kw_only=True, frozen=True):
    """`digest` is a SHA-256 over model, pre-tokenizer, tokens and token types.

    Equal digests mean that one model can draft for the other.
    """

    model: str
    pre: str | None
    size: int
    digest: str
    bos_token_id: int | None
    eos_token_id: int | None
    add_bos_token: bool | None


class GgufFacts(Value, kw_only=True, frozen=True):
    """A GGUF header (all parts of a split file as one), without the big arrays.

    `file_type` is *measured*: the name of the tensor type that holds most bytes of the matrices
    (`Q4_K`); `file_type_declared` is `general.file_type` by name (`Q4_K_M`). `parameters` holds
    every scalar key under `general.`, `<architecture>.` and `tokenizer.`, and arrays of at most
    1024 numbers or 64 short strings there, except tokens, merges, scores and templates.
    """

    architecture: str
    type: str
    name: str | None
    file_type: str
    file_type_declared: str | None
    n_params: int
    tensor_bytes: int
    file_bytes: int
    tensors: tuple[TensorGroup, ...]
    vocabulary: VocabularyFacts | None
    chat_template_sha256: str | None
    parameters: Mapping[str, Scalar | tuple[Scalar, ...]]

    def parameter(self, key: str) -> Scalar | tuple[Scalar, ...] | None:
        """The value of `<architecture>.<key>`."""
        return self.parameters.get(f"{self.architecture}.{key}")


class Presence(StrEnum):
    """What is on this machine of a pinned file."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERENT = "different"
    """There, but with another size or digest than the lock's."""
    UNREADABLE = "unreadable"


class OtherWeights(Value, kw_only=True, frozen=True):
    """The same model in another quantization, at the same source; `source` as a spec names it."""

    source: str
    size_bytes: int
    gguf: GgufFacts
    quantization: str | None = None
    """The publisher's word for it, where it comes from a repository."""


class WeightsFacts(Value, kw_only=True, frozen=True):
    """One source as found here. `digest` names its folder in the store; `None`: not known yet."""

    source: str
    presence: Presence
    digest: str | None
    found_sha256: str | None
    size_bytes: int | None
    parts: int
    gguf: GgufFacts | None
    where: str | None = None
    others: tuple[OtherWeights, ...] = ()


class Facts(Value, kw_only=True, frozen=True):
    """Everything that a compile may look at besides spec and lock.

    `weights` by source as written in the spec, `engines` by name in the spec.
    """

    schema: int = 1
    host: HostFacts
    engines: Mapping[str, EngineFacts]
    weights: Mapping[str, WeightsFacts]
    measured: Mapping[str, Measured] = {}
    """What models took when they ran here, by the digest of the process."""
