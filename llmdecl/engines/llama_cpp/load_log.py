"""What llama-server says while it loads, at verbosity 4: devices, layers, buffers, refusals. Pure.

Formats of b10068 to 0c1e570. Sizes are printed in MiB with two decimals, so bytes here are within
half of 0.01 MiB. A dry run (`--fit on`) prints other lines; loading a second model (a draft, a
projector) begins a second block.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from llmdecl.engines.llama_cpp.load_failures import causes_of, is_failure
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
_START = re.compile(r"common_params_print_info: build |^build: \d+")
_READY = re.compile(r"(?:server is )?listening on |model loaded$")
_BUFFER = re.compile(
    r"(?P<where>\w+): +(?P<type>\S+) +(?P<part>model|KV|RS|output|compute|LoRA) buffer size = +"
    r"(?P<mib>[\d.]+) MiB"
)
_LISTED = re.compile(r"common_param\w*: +- (?P<name>\w+) +: (?P<text>.*) \(\d+ MiB, \d+ MiB free\)")
_DEVICE = re.compile(r"using device (?P<name>\S+) \((?P<text>.*?)\)(?: \(.*\))? - \d+ MiB free")
_MEMBER = re.compile(r"llama_prepare_model_devices: - device \d+: (?P<name>\S+)")
_TOGETHER = "Meta()"
"""What llama.cpp calls the devices of `--split-mode tensor`, which compute as one."""

_OFFLOADED = re.compile(r"offloaded (?P<count>\d+)/(?P<total>\d+) layers to GPU")
_NUMBER = re.compile(r"llama_context: (?P<key>n_ctx|n_seq_max|n_ctx_seq) += (?P<value>\d+)")
_FLASH = re.compile(
    r"(?:llama_context: flash_attn +=|resolve_fused_ops: Flash Attention) "
    r"(?:not supported, set to )?(?P<word>enabled|disabled)"
)
_PROJECTOR = re.compile(r"clip_model_loader: model name|clip_model_loader: +projector")
_BLOCK = re.compile(r"llama_model_loader: loaded meta data|clip_model_loader: model name")


class Buffer(Value, frozen=True, kw_only=True):
    """One buffer as reported; `type` is the engine's name of it (`CUDA0`, `CPU_Mapped`).

    `place` is `host` or the engine's name of the device that holds it.
    """

    type: str
    part: str
    bytes: int
    place: str


class Reported(Value, frozen=True, kw_only=True):
    """One loaded model. `None` is what the log does not say."""

    role: Literal["model", "draft", "mmproj"] = "model"
    listed: tuple[str, ...] = ()
    """Every device that the engine sees, by its names."""
    devices: tuple[str, ...] = ()
    """Those that this model uses, in the engine's order."""
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
        """Bytes by place and part."""
        found: Counter[tuple[str, str]] = Counter()
        for buffer in self.buffers:
            found[buffer.place, buffer.part] += buffer.bytes
        return dict(found)

    @property
    def on_devices(self) -> int:
        """Layers on devices: none where the engine uses none, whatever it counts."""
        return (self.layers_offloaded or 0) if self.devices else 0


def last_start(text: str) -> str:
    """A log from the last start in it; all of it when none begins there.

    What an engine prints before its first line (a backend's greeting) is not among it.
    """
    lines = text.splitlines(keepends=True)
    starts = [index for index, line in enumerate(lines) if _START.search(line)]
    return "".join(lines[starts[-1] :]) if starts else text


def is_loaded(text: str) -> bool:
    """Whether a log has come so far that all is loaded."""
    return any(_READY.search(line) for line in text.splitlines())


def read_load_log(text: str) -> tuple[Reported, ...]:
    """Every model that was loaded, in order: the model itself, then a draft or a projector.

    `text` is the log of one start; without any buffer in it, one `Reported` with what it says.
    """
    lines = text.splitlines()
    names = _Names(lines)
    found = [_read(block, names) for block in _blocks(lines)]
    loaded = [one for one in found if one.buffers] or [_read(lines, names)]
    main, *rest = loaded
    second = [one if one.role == "mmproj" else one.replace(role="draft") for one in rest]
    return (main.replace(role="model"), *second)


class _Names:
    """Devices as the engine lists them, and whose memory a buffer is.

    A buffer of an RPC device is named by its number on its own server (`RPC0[host:port]`), the
    device by its number among all (ggml/src/ggml-rpc/ggml-rpc.cpp).
    """

    def __init__(self, lines: Iterable[str]) -> None:
        found: dict[str, str] = {}
        used: dict[str, str] = {}
        for line in lines:
            if match := _LISTED.search(line):
                found[match["name"]] = match["text"]
            elif match := _DEVICE.search(line):
                used[match["name"].partition("[")[0]] = match["text"]
        self.listed = tuple(name for name in found if name != "CPU")
        seen: Counter[str] = Counter()
        self._remote: dict[str, str] = {}
        for name, text in (found | used).items():
            if name.startswith("RPC"):
                self._remote[f"RPC{seen[text]}[{text}]"] = name
                seen[text] += 1

    def place(self, buffer: str) -> str:
        """`CUDA0` of `CUDA0`, `RPC1` of `RPC0[127.0.0.1:50053]`, `host` of host buffers."""
        if buffer in self._remote:
            return self._remote[buffer]
        name = buffer.partition("[")[0].removesuffix("_Mapped")
        return HOST if name.startswith("CPU") or name.endswith("_Host") else name


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """A model's lines: a block ends where buffers were seen and another model begins."""
    block: list[str] = []
    seen = False
    for line in lines:
        if seen and _BLOCK.search(line):
            yield block
            block, seen = [], False
        block.append(line)
        seen = seen or " buffer size = " in line
    yield block


def _read(lines: Sequence[str], names: _Names) -> Reported:
    devices: list[str] = []
    members: list[str] = []
    buffers: list[Buffer] = []
    numbers: dict[str, int] = {}
    offloaded = total = None
    flash: bool | None = None
    for line in lines:
        if match := _BUFFER.search(line):
            buffers += _buffers(match, names, members)
        elif match := _MEMBER.search(line):
            members.append(match["name"].partition("[")[0])
        elif match := _DEVICE.search(line):
            name = match["name"].partition("[")[0]
            devices += members if name == _TOGETHER else [name]
        elif match := _OFFLOADED.search(line):
            offloaded, total = int(match["count"]), int(match["total"])
        elif match := _NUMBER.search(line):
            numbers[match["key"]] = int(match["value"])
        elif match := _FLASH.search(line):
            flash = match["word"] == "enabled"
    started = any("pipeline parallelism enabled" in line for line in lines)
    gave_up = any("retrying without pipeline parallelism" in line for line in lines)
    return Reported(
        role="mmproj" if any(_PROJECTOR.search(line) for line in lines) else "model",
        listed=names.listed,
        devices=tuple(devices),
        layers_offloaded=offloaded,
        layers_total=total,
        buffers=tuple(_last(buffers)),
        n_ctx=numbers.get("n_ctx"),
        n_seq_max=numbers.get("n_seq_max"),
        flash_attn=flash,
        pipeline_parallel=started and not gave_up,
        failures=tuple(line.strip() for line in lines if is_failure(line)),
    )


def _buffers(match: re.Match[str], names: _Names, members: Sequence[str]) -> Iterator[Buffer]:
    """One buffer; of devices that compute as one, one each, as large as the largest of them is
    (ggml/src/ggml-backend-meta.cpp:1711)."""
    repacked = match["part"] == "model" and match["type"].endswith("_REPACK")
    together = match["type"] == _TOGETHER
    for place in members if together else (names.place(match["type"]),):
        yield Buffer(
            type=place if together else match["type"],
            part="repacked" if repacked else _PARTS[match["part"]],
            bytes=round(float(match["mib"]) * MEBIBYTE),
            place=place,
        )


def _last(buffers: Iterable[Buffer]) -> Iterator[Buffer]:
    """Of work buffers that were reserved more than once the last; weights and caches add up."""
    kept: dict[tuple[str, str], Buffer] = {}
    for index, buffer in enumerate(buffers):
        again = buffer.part in ("compute", "output")
        kept[buffer.type, buffer.part if again else f"{buffer.part}{index}"] = buffer
    yield from kept.values()


def causes(reported: Reported) -> tuple[str, ...]:
    """What the failures mean, each once."""
    return causes_of(reported.failures)
