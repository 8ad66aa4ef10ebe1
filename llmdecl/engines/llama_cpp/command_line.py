"""A llama-server command line as llama.cpp takes it, with llama-server's own defaults. Pure.

Sources: common/arg.cpp, tools/server/server.cpp:140-172, server-context.cpp:41, 996.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llmdecl.memory.graphs.hparams import HParams
from llmdecl.memory.hparams import Shape
from llmdecl.memory.model import (
    EXPERTS,
    Device,
    Placement,
    RunParameters,
    expert_overrides,
)
from llmdecl.memory.parameters import run_parameters
from llmdecl.memory.tensor_parallel import refusals as split_refusals

ALL_LAYERS = 1 << 30

DEFAULT_SLOTS = 4
"""Slots when `--parallel` is not given; they share one cache then."""

INT_MAX = (1 << 31) - 1

LEAST = {"ctx_size": 0, "batch": 1, "ubatch": 0, "main_gpu": 0, "n_draft": 0, "checkpoints": 0}
"""Numbers below these are refused, or mean nothing that llama.cpp could start with."""

_VALUES: Mapping[str, str] = {
    "-c": "ctx_size", "--ctx-size": "ctx_size",
    "-np": "parallel", "--parallel": "parallel",
    "-b": "batch", "--batch-size": "batch",
    "-ub": "ubatch", "--ubatch-size": "ubatch",
    "-ctk": "type_k", "--cache-type-k": "type_k",
    "-ctv": "type_v", "--cache-type-v": "type_v",
    "-ngl": "layers", "--gpu-layers": "layers", "--n-gpu-layers": "layers",
    "-sm": "split_mode", "--split-mode": "split_mode",
    "-ts": "tensor_split", "--tensor-split": "tensor_split",
    "-mg": "main_gpu", "--main-gpu": "main_gpu",
    "-ot": "override", "--override-tensor": "override",
    "-ncmoe": "n_cpu_moe", "--n-cpu-moe": "n_cpu_moe",
    "--pooling": "pooling",
    "-lm": "load_mode", "--load-mode": "load_mode",
    "-mm": "mmproj", "--mmproj": "mmproj",
    "-md": "draft", "--model-draft": "draft", "--spec-draft-model": "draft",
    "--lora": "lora",
    "--spec-draft-n-max": "n_draft", "--draft-max": "n_draft", "--draft": "n_draft",
    "--draft-n": "n_draft",
    "-cram": "cache_ram", "--cache-ram": "cache_ram",
    "--ctx-checkpoints": "checkpoints", "--swa-checkpoints": "checkpoints",
}  # fmt: skip

_SWITCHES: Mapping[str, tuple[str, bool]] = {
    "-kvu": ("unified", True), "--kv-unified": ("unified", True),
    "-no-kvu": ("unified", False), "--no-kv-unified": ("unified", False),
    "--swa-full": ("swa_full", True),
    "-nkvo": ("kv_offload", False), "--no-kv-offload": ("kv_offload", False),
    "-kvo": ("kv_offload", True), "--kv-offload": ("kv_offload", True),
    "--cpu-moe": ("cpu_moe", True), "-cmoe": ("cpu_moe", True),
    "--embedding": ("embedding", True), "--embeddings": ("embedding", True),
    "--rerank": ("rerank", True), "--reranking": ("rerank", True),
    "--no-host": ("no_host", True),
    "-nr": ("repack", False), "--no-repack": ("repack", False), "--repack": ("repack", True),
    "--no-op-offload": ("op_offload", False), "--op-offload": ("op_offload", True),
    "--no-mmap": ("mapped", False), "--mmap": ("mapped", True),
    "-dio": ("mapped", False), "--direct-io": ("mapped", False),
}  # fmt: skip

PLAIN_TYPES = frozenset({"f32", "f16", "bf16"})
CACHE_TYPES = frozenset({"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"})


@dataclass(slots=True)
class ServerArguments:
    """What a llama-server was told, and its defaults; `problems` name what it would refuse."""

    ctx_size: int = 0
    parallel: int | None = None
    unified: bool | None = None
    batch: int = 2048
    ubatch: int = 512
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attn: str = "auto"
    swa_full: bool = False
    kv_offload: bool = True
    layers: int = ALL_LAYERS
    split_mode: str = "layer"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    overrides: list[tuple[str, str]] = field(default_factory=list)
    cpu_moe: bool = False
    embedding: bool = False
    rerank: bool = False
    pooling: str | None = None
    no_host: bool = False
    repack: bool = True
    op_offload: bool = True
    mapped: bool = True
    mmproj: str | None = None
    draft: str | None = None
    lora: list[str] = field(default_factory=list)
    n_draft: int = 16
    cache_ram_mib: int = 8192
    checkpoints: int = 32
    problems: list[str] = field(default_factory=list)


def read_arguments(argv: Sequence[str]) -> ServerArguments:
    """Flags long or short, `--flag=value` not being llama-server's; what is unknown is ignored."""
    found = ServerArguments()
    words = list(argv)
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word in _SWITCHES:
            name, value = _SWITCHES[word]
            setattr(found, name, value)
        elif word in ("-fa", "--flash-attn"):
            follows = words[index] if index < len(words) else ""
            if follows in ("on", "off", "auto", "1", "0", "-1"):
                names = {"1": "on", "0": "off", "-1": "auto"}
                found.flash_attn = names.get(follows, follows)
                index += 1
            else:
                found.flash_attn = "on"
        elif word in _VALUES:
            if index == len(words):
                found.problems.append(f"`{word}` takes a value")
                break
            _read_value(found, word, _VALUES[word], words[index])
            index += 1
    return found


def _read_value(found: ServerArguments, flag: str, name: str, text: str) -> None:
    reader = _READERS.get(name)
    try:
        if reader is not None:
            reader(found, text)
        else:
            setattr(found, name, _number(text, LEAST.get(name, -INT_MAX - 1)))
    except ValueError:
        found.problems.append(f"`{flag} {text}` is not what llama-server takes")


def _number(text: str, least: int = 0) -> int:
    number = int(text)
    if not least <= number <= INT_MAX:
        raise ValueError(text)
    return number


def _layers(found: ServerArguments, text: str) -> None:
    found.layers = ALL_LAYERS if text in ("auto", "all", "-1", "-2") else _number(text)


def _tensor_split(found: ServerArguments, text: str) -> None:
    found.tensor_split = tuple(float(part) for part in text.replace("/", ",").split(","))


def _override(found: ServerArguments, text: str) -> None:
    for rule in text.split(","):
        expression, equals, buffer = rule.rpartition("=")
        if not equals:
            raise ValueError(rule)
        found.overrides.append((expression, buffer))


def _cpu_layers(found: ServerArguments, text: str) -> None:
    found.overrides.extend(expert_overrides(_number(text)))


def _cache_type(name: str) -> Callable[[ServerArguments, str], None]:
    def read(found: ServerArguments, text: str) -> None:
        if text not in CACHE_TYPES:
            raise ValueError(text)
        setattr(found, name, text)

    return read


def _load_mode(found: ServerArguments, text: str) -> None:
    found.mapped = text in ("auto", "mmap", "mmap+mlock")


def _parallel(found: ServerArguments, text: str) -> None:
    found.parallel = _number(text, -1)
    if found.parallel == 0:
        raise ValueError(text)


def _text(name: str, *known: str) -> Callable[[ServerArguments, str], None]:
    def read(found: ServerArguments, text: str) -> None:
        if known and text not in known:
            raise ValueError(text)
        setattr(found, name, text)

    return read


_READERS: Mapping[str, Callable[[ServerArguments, str], None]] = {
    "layers": _layers,
    "tensor_split": _tensor_split,
    "override": _override,
    "n_cpu_moe": _cpu_layers,
    "type_k": _cache_type("type_k"),
    "type_v": _cache_type("type_v"),
    "split_mode": _text("split_mode", "none", "layer", "row", "tensor"),
    "pooling": _text("pooling", "none", "mean", "cls", "last", "rank"),
    "load_mode": _load_mode,
    "mmproj": _text("mmproj"),
    "draft": _text("draft"),
    "lora": lambda found, text: found.lora.append(text),
    "cache_ram": lambda found, text: setattr(found, "cache_ram_mib", _number(text, -1)),
    "parallel": _parallel,
}


def placement_of(found: ServerArguments, devices: Sequence[Device]) -> Placement:
    """Where llama-server puts a model on these devices, in this order."""
    overrides = list(found.overrides)
    if found.cpu_moe:
        overrides.append((EXPERTS, "CPU"))
    return Placement(
        devices=tuple(devices),
        n_gpu_layers=found.layers if devices else 0,
        split_mode=found.split_mode,  # type: ignore[arg-type]  # one of its words
        tensor_split=found.tensor_split,
        main_gpu=found.main_gpu,
        overrides=tuple(overrides),
        kv_offload=found.kv_offload,
        op_offload=found.op_offload,
        no_host=found.no_host,
    )


def parameters_of(found: ServerArguments, shape: Shape) -> RunParameters:
    """What llama.cpp makes of the arguments for a model."""
    given = found.parallel if found.parallel is not None and found.parallel > 0 else None
    pooling = "rank" if found.rerank else found.pooling
    return run_parameters(
        shape,
        ctx_size=found.ctx_size,
        parallel=DEFAULT_SLOTS if given is None else given,
        kv_unified=given is None if found.unified is None else found.unified,
        batch_size=found.batch,
        ubatch_size=found.ubatch,
        type_k=found.type_k,
        type_v=found.type_v,
        flash_attn=found.flash_attn != "off",
        swa_full=found.swa_full,
        embedding=found.embedding or found.rerank,
        mapped=found.mapped,
        repack=found.repack,
        cache_ram_bytes=max(0, found.cache_ram_mib) << 20,
        ctx_checkpoints=found.checkpoints,
        n_draft=found.n_draft if found.draft else 0,
        pooling=pooling,  # type: ignore[arg-type]  # the words above
        flash_attn_auto=found.flash_attn == "auto",
    )


def draft_of(run: RunParameters, placement: Placement) -> tuple[RunParameters, Placement]:
    """A draft has the model's devices and shares, and layers and cache types of its own
    (common/speculative.cpp:2446)."""
    layers = ALL_LAYERS if placement.devices else 0
    return (
        run.replace(n_outputs_max=run.n_seq_max, embedding=False, type_k="f16", type_v="f16"),
        placement.replace(n_gpu_layers=layers, overrides=()),
    )


def refusals(h: HParams, run: RunParameters, placement: Placement) -> Iterator[str]:
    """Why llama.cpp would not start a model so (src/llama-context.cpp:3821-3848)."""
    mode = placement.split_mode
    kinds = [(device.id, device.backend) for device in placement.devices]
    if kinds:
        for why in split_refusals(h, mode, kinds, flash_attn=run.flash_attn):
            yield f"`--split-mode {mode}` does not start: {why}"
    if run.type_v not in PLAIN_TYPES and not run.flash_attn:
        yield f"V cache type `{run.type_v}` needs flash attention, which is off"
    if h.is_mla and run.type_k != run.type_v:
        yield f"`{h.arch}` keeps K and V in one cache: types must be equal"
