"""`router.json`: all that the router knows of the compiler.

Sockets of models are file names in the run folder, which the router is told on its command line.
The same goes for supervisord's own socket.
"""

from typing import Literal

from llmdecl.values import Value


class Claim(Value, frozen=True, kw_only=True):
    """Bytes that a loaded model takes from a pool; equal `shared` keys in a pool count once."""

    pool: str
    bytes: int
    shared: str | None = None


class ExpectedPart(Value, frozen=True, kw_only=True):
    """Bytes of `part` in `pool` that the engine is to report; `exact` is false for a bound."""

    pool: str
    part: str
    bytes: int
    exact: bool


class Expect(Value, frozen=True, kw_only=True):
    """What an engine's log must say once the model is loaded.

    `devices` are `(the engine's name, pool)` in its order; without any, the CPU has everything.
    `parts` are those that a log shows; host weights only where they are no mapping, of which an
    engine reports the span in the file. `flash_attn` `None`: whatever it says.
    """

    engine: str
    devices: tuple[tuple[str, str], ...] = ()
    n_gpu_layers: int = 0
    n_layers: int = 0
    flash_attn: bool | None = None
    parts: tuple[ExpectedPart, ...] = ()


class ModelConfig(Value, frozen=True, kw_only=True):
    """One model. `program` is its name at the manager; `digest` is in its process's environment as
    `LLMDECL_DIGEST`: another digest there means that the running process is not this one.
    `defaults` are request keys added when absent. `ttl_s` `None` is never, 0 at once. `devices` are
    where it computes, by pool (`host`: the CPU), `alone` those that it shares with no model."""

    name: str
    aliases: tuple[str, ...]
    task: Literal["chat", "completion", "embedding", "rerank"]
    program: str
    socket: str
    digest: str
    slots: int
    n_ctx: int
    ttl_s: float | None
    load: Literal["demand", "startup"]
    start_timeout_s: float
    claims: tuple[Claim, ...]
    devices: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    defaults: dict[str, float | int]
    system_prompt: str | None = None
    expect: Expect | None = None


class PoolConfig(Value, frozen=True, kw_only=True):
    """What all loaded models together may claim of a pool."""

    name: str
    budget_bytes: int


class EndpointConfig(Value, frozen=True, kw_only=True):
    """A listener: `host` and `port`, or `path` for a unix socket; `models` by name, sorted."""

    name: str
    host: str | None = None
    port: int | None = None
    path: str | None = None
    apis: tuple[str, ...]
    models: tuple[str, ...]
    api_keys_file: str | None = None


class RouterConfig(Value, frozen=True, kw_only=True):
    """The whole file. Durations in seconds."""

    schema: int = 1
    endpoints: tuple[EndpointConfig, ...]
    models: tuple[ModelConfig, ...]
    pools: tuple[PoolConfig, ...]
    drain_timeout_s: float
    queue_timeout_s: float
    queue_size: int
    min_residency_s: float
