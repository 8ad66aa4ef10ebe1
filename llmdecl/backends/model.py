"""What llmdecl knows of one ggml backend, as a value."""

from collections.abc import Mapping
from typing import Literal

from llmdecl.values import Value


class VisibleDevices(Value, frozen=True, kw_only=True):
    """An environment variable that lets a process see only some devices, in the given order.

    `takes` is `uuid` where a word of it names one device whatever the order of enumeration;
    an `index` counts what the driver enumerates at that moment. The process counts what it sees
    from 0 again.
    """

    variable: str
    takes: Literal["uuid", "index"]
    uuid_prefixes: tuple[str, ...] = ()
    """How a UUID begins that the driver takes."""
    word_prefix: str = ""
    """What stands before the list (`level_zero:0,1`)."""


class DriverOverhead(Value, frozen=True, kw_only=True):
    """Device bytes that driver and libraries take for one process, beside llama.cpp's buffers.

    Meant to be an upper bound in ordinary use; `reason` says what it rests on. `by_architecture`
    has what is known better, by `DeviceFacts.architecture`.
    """

    bytes: int
    reason: str
    by_architecture: Mapping[str, int] = {}

    def on(self, architecture: str | None) -> int:
        """Bytes on a device of this architecture, or of an unknown one."""
        return self.by_architecture.get(architecture or "", self.bytes)


class Backend(Value, frozen=True, kw_only=True):
    """One ggml backend, at the version that the memory rules are for (b10434).

    `device_prefix` and a number make the name that the engine gives a device (`CUDA0`);
    `host_buffer` is the name of its pinned host memory in the engine's log. A CMake option names
    what turns it on in a build.
    """

    name: str
    device_prefix: str
    rank: int
    """Where one device is reached through several backends, the lowest is preferred."""
    visible_devices: VisibleDevices | None
    cmake: tuple[tuple[str, str], ...]
    alignment: int
    """Bytes: every tensor of a buffer begins at a multiple."""
    pads_quantized_rows: bool
    """A quantized tensor whose row is no multiple of 512 elements is that much longer."""
    host_buffer: str | None
    offloads_ops: bool
    """Large batches of weights that lie on the host are copied to the device and computed there."""
    min_offload_batch: int
    """Tokens from which that happens (`GGML_OP_OFFLOAD_MIN_BATCH`)."""
    asynchronous: bool
    """Copies overlap, and there are events: what pipeline parallelism needs of every device."""
    computes_all: bool
    """Operations of every shape, as far as the memory rules know: nothing falls to the CPU."""
    keeps_for_fusions: bool
    """What a fused operation reads stays allocated until it is done (`graph_optimize`)."""
    flash_attn_f16_copies: bool
    """Flash attention over a cache of another type writes an F16 copy of it."""
    max_buffer_bytes: int | None
    """The largest single buffer, where the backend and not the device bounds it."""
    driver_overhead: DriverOverhead
