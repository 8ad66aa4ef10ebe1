"""What llama-server says while it loads, at verbosity 4: devices, layers, buffers, refusals. Pure.

Formats of b10068 to 0c1e570. Sizes are printed in MiB with two decimals, so bytes here are within
half of 0.01 MiB. A dry run (`--fit on`) prints other lines; loading a second model (a draft)
begins a second block.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from llmdecl.values import Value

MEBIBYTE = 1 << 20
ROUNDING_BYTES = MEBIBYTE // 200 + 1
"""How far a size in the log may be from the real one."""

HOST = "host"

_PARTS: Mapping[str, str] = {
    "model": "weights",
    "KV": "kv-cache",
    "RS": "recurrent",
    "output": "output",
    "compute": "compute",
    "LoRA": "lora",
}
_BUFFER = re.compile(
    r"(?P<where>\w+): +(?P<type>\S+) +(?P<part>model|KV|RS|output|compute|LoRA) buffer size = +"
    r"(?P<mib>[\d.]+) MiB"
)
_DEVICE = re.compile(r"using device (?P<name>\S+) \((?P<text>.*)\) - (?P<mib>\d+) MiB free")
_OFFLOADED = re.compile(r"offloaded (?P<count>\d+)/(?P<total>\d+) layers to GPU")
_NUMBER = re.compile(r"llama_context: (?P<key>n_ctx|n_seq_max|n_ctx_seq) += (?P<value>\d+)")
_FLASH = re.compile(
    r"Flash Attention (?:was auto, |not supported, )?(?:set to )?(?P<word>enabled|disabled)"
)
_BLOCK = re.compile(r"llama_model_loader: loaded meta data|llama_prepare_model_devices|"
                    r"loading draft model|loading mtmd|clip_model_loader: model name")  # fmt: skip

FAILURES: Mapping[str, str] = {
    "no usable GPU found": "the engine sees no device: its driver or library does not answer",
    "failed to initialize CUDA": "the CUDA driver does not answer",
    "CUDA driver version is insufficient": "driver and CUDA library do not fit together",
    "no CUDA-capable device": "the CUDA driver sees no device",
    "invalid device ordinal": "a device is not visible to the process",
    "invalid device": "the engine does not have a device of this name",
    "no kernel image is available": "the engine was not built for this device's architecture",
    "invalid device function": "the engine was not built for this device's architecture",
    "out of memory": "a device has less memory free than was planned",
    "unable to allocate": "memory could not be had",
    "failed to allocate": "memory could not be had",
    "ErrorOutOfDeviceMemory": "a device has less memory free than was planned",
    "Permission denied": "the process may not open a device or a file",
    "failed to connect": "an RPC server does not answer",
    "couldn't bind": "the socket is taken",
    "error loading model": "the engine refused the model",
    "failed to load model": "the engine refused the model",
    "failed to create context": "the engine refused the settings",
    "failed to create llama_context": "the engine refused the settings",
}
"""Words of a log that name a cause, and the cause."""


class Buffer(Value, frozen=True, kw_only=True):
    """One buffer as reported; `type` is the engine's name of it (`CUDA0`, `CPU_Mapped`)."""

    type: str
    part: str
    bytes: int

    @property
    def place(self) -> str:
        """`host`, or the engine's name of a device without its address."""
        return place_of(self.type)


class Reported(Value, frozen=True, kw_only=True):
    """One loaded model. `None` is what the log does not say."""

    devices: tuple[str, ...] = ()
    """The engine's names, in its order."""
    layers_offloaded: int | None = None
    layers_total: int | None = None
    buffers: tuple[Buffer, ...] = ()
    n_ctx: int | None = None
    n_seq_max: int | None = None
    flash_attn: bool | None = None
    pipeline_parallel: bool = False
    failures: tuple[str, ...] = ()
    """Lines that name a cause of trouble, as the engine wrote them."""

    def sums(self) -> dict[tuple[str, str], int]:
        """Bytes by place and part. Without a device the engine counts layers all the same."""
        found: dict[tuple[str, str], int] = {}
        for buffer in self.buffers:
            key = buffer.place, buffer.part
            found[key] = found.get(key, 0) + buffer.bytes
        return found

    @property
    def on_devices(self) -> int:
        """Layers on devices: none where the engine uses none, whatever it counts."""
        return (self.layers_offloaded or 0) if self.devices else 0


def place_of(buffer_type: str) -> str:
    """`CUDA0` of `CUDA0`, `RPC0` of `RPC0[127.0.0.1:50052]`, `host` of host buffers."""
    name = buffer_type.partition("[")[0]
    return HOST if name.startswith("CPU") or name.endswith("_Host") else name


def read_load_log(text: str) -> tuple[Reported, ...]:
    """Every model that was loaded, in order: the model itself, then a draft."""
    blocks = list(_blocks(text.splitlines()))
    found = [_read(block) for block in blocks]
    return tuple(one for one in found if one.buffers) or (_read(text.splitlines()),)


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """A model's lines: a block ends where buffers were seen and another model begins."""
    block: list[str] = []
    seen = False
    for line in lines:
        if seen and _BLOCK.search(line):
            yield block
            block, seen = [], False
        block.append(line)
        seen = seen or "compute buffer size" in line
    yield block


def _read(lines: Iterable[str]) -> Reported:
    devices: list[str] = []
    buffers: list[Buffer] = []
    failures: list[str] = []
    numbers: dict[str, int] = {}
    offloaded = total = None
    flash: bool | None = None
    pipeline = False
    for line in lines:
        if match := _BUFFER.search(line):
            size = round(float(match["mib"]) * MEBIBYTE)
            buffers.append(Buffer(type=match["type"], part=_PARTS[match["part"]], bytes=size))
        elif match := _DEVICE.search(line):
            devices.append(match["name"].partition("[")[0])
        elif match := _OFFLOADED.search(line):
            offloaded, total = int(match["count"]), int(match["total"])
        elif match := _NUMBER.search(line):
            numbers[match["key"]] = int(match["value"])
        elif match := _FLASH.search(line):
            flash = match["word"] == "enabled"
        elif "pipeline parallelism enabled" in line:
            pipeline = True
        if any(words in line for words in FAILURES):
            failures.append(line.strip())
    return Reported(
        devices=tuple(devices),
        layers_offloaded=offloaded,
        layers_total=total,
        buffers=tuple(_last(buffers)),
        n_ctx=numbers.get("n_ctx"),
        n_seq_max=numbers.get("n_seq_max"),
        flash_attn=flash,
        pipeline_parallel=pipeline,
        failures=tuple(failures),
    )


def _last(buffers: Iterable[Buffer]) -> Iterator[Buffer]:
    """Of work buffers that were reserved more than once the last; caches add up."""
    kept: dict[tuple[str, str], Buffer] = {}
    for index, buffer in enumerate(buffers):
        many = buffer.part in ("kv-cache", "recurrent", "lora")
        kept[buffer.type, f"{buffer.part}{index}" if many else buffer.part] = buffer
    yield from kept.values()


def causes(reported: Reported) -> tuple[str, ...]:
    """What the failures mean, each once."""
    found = dict.fromkeys(
        cause for line in reported.failures for words, cause in FAILURES.items() if words in line
    )
    return tuple(found)
