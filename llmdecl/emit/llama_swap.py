"""llama-swap (v250): one YAML file, by its code where its schema file says something else.

Models listen on ports of loopback that stay theirs. `matrix` holds what may be loaded together, so
llama-swap, which knows nothing of memory, never loads more than fits. Models run through `env -i`:
`env` would only add to llama-swap's own environment. What it cannot do as our router does is said
by `losses`.
"""

from collections.abc import Iterator, Mapping
from math import ceil

from llmdecl.emit.artefact import Artefact, ArtefactSet
from llmdecl.emit.dialects.llama_swap import Line, Yaml, document, quote_word
from llmdecl.emit.doors import door, listen
from llmdecl.emit.matrix import matrix
from llmdecl.plan.model import LOOPBACK, ModelPlan, Plan, Word

PATH = "llama-swap.yaml"
API_KEY = "LLMDECL_API_KEY"
"""The variable of llama-swap's environment that holds the key, where an endpoint asks for one."""

LEAST_HEALTH_CHECK_S = 15
"""llama-swap raises what is lower."""
UNLOAD_TIMEOUT_S = 5
"""From TERM to KILL: nothing is in flight when a model is unloaded."""
READ_BYTES_PER_S = 100_000_000
"""A slow disk. Costs of an eviction are seconds to read the weights from there again."""


def emit(plan: Plan) -> ArtefactSet:
    """`llama-swap.yaml`."""
    return (Artefact(path=PATH, text=document(_head(plan), _config(plan))),)


def _head(plan: Plan) -> Iterator[str]:
    entrance = door(plan)
    yield "Written by llmdecl: edit the spec instead. For llama-swap v250 and later, started as"
    yield f"  llama-swap -config {PATH} -listen {listen(entrance) if entrance else 'ADDRESS'}"
    yield "with LLMDECL_STORE (the store folder) and LLMDECL_STACK (any name) in its environment."
    if entrance is not None and entrance.api_keys_file is not None:
        yield f"{API_KEY} there is the key that requests must bring: one of {entrance.name}'s file."


def _config(plan: Plan) -> dict[str, Yaml]:
    entrance = door(plan)
    config: dict[str, Yaml] = {
        "healthCheckTimeout": health_check_timeout_s(plan),
        "unloadTimeout": UNLOAD_TIMEOUT_S,
        "globalTTL": 0,
        "captureBuffer": 0,
        "logToStdout": "both",
    }
    if entrance is not None and entrance.api_keys_file is not None:
        config["apiKeys"] = [f"${{env.{API_KEY}}}"]
    startup = [model.name for model in plan.models if model.load == "startup"]
    if startup:
        config["hooks"] = {"on_startup": {"preload": startup}}
    config["models"] = {model.name: _model(model, plan) for model in plan.models}
    if plan.models:
        settings = {"matrix": matrix(plan, {m.name: evict_cost(m) for m in plan.models})}
        config["routing"] = {"router": {"use": "matrix", "settings": settings}}
    return config


def health_check_timeout_s(plan: Plan) -> int:
    """How long any model's start may take: llama-swap has one time for all."""
    longest = max((model.start_timeout_s for model in plan.models), default=0.0)
    return max(LEAST_HEALTH_CHECK_S, ceil(longest))


def ttl_s(model: ModelPlan) -> int:
    """Whole seconds; 0 is never, so at once is one second."""
    return 0 if model.ttl_s is None else max(1, ceil(model.ttl_s))


def evict_cost(model: ModelPlan) -> int:
    """Seconds to load it again, at least 1."""
    size = sum(file.size_bytes for file in model.weights)
    return max(1, ceil(size / READ_BYTES_PER_S))


def _model(model: ModelPlan, plan: Plan) -> Mapping[str, Yaml]:
    config: dict[str, Yaml] = {
        "cmd": tuple(_command(model)),
        "proxy": f"http://{LOOPBACK}:{model.port}",
        "checkEndpoint": "/health",
        "ttl": ttl_s(model),
        "concurrencyLimit": model.parallel + plan.router.queue_size,
    }
    if model.aliases:
        config["aliases"] = model.aliases
    if model.sampling:
        params = {value.key: value.value for value in model.sampling}
        config["filters"] = {"setParams": params}
    return config


def _command(model: ModelPlan) -> Iterator[Line]:
    """A clean environment with its marks, the program, and a flag a line."""
    yield Line('/usr/bin/env -i "LLMDECL_STACK=${env.LLMDECL_STACK}"')
    marks = (
        f"LLMDECL_MODEL={model.name}",
        f"LLMDECL_DIGEST={model.digest}",
        "PATH=/usr/bin:/bin",
        "LANG=C.UTF-8",
        *(f"{key}={value}" for key, value in model.environment),
    )
    for mark in marks:
        yield Line(quote_word(Word(text=mark)))
    yield Line(quote_word(model.executable))
    for setting in model.settings:
        words = (Word(text=setting.flag), *setting.values)
        yield Line(" ".join(quote_word(word) for word in words))
