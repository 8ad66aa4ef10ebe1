"""What a difference costs: one effect class for every field of the plan (DESIGN §8)."""

from collections.abc import Mapping
from enum import StrEnum

from llmdecl.plan.model import Budget, EndpointPlan, EnginePlan, ModelPlan, Plan, RouterPlan


class Effect(StrEnum):
    """From nothing to everything. `STACK` starts the manager anew, with all that it runs."""

    NONE = "none"
    ROUTER = "router"
    MODEL = "model"
    ENGINE = "engine"
    FETCH = "fetch"
    STACK = "stack"


PLAN: Mapping[str, Effect] = {
    "schema": Effect.NONE,
    "host": Effect.NONE,  # a name
    "manager": Effect.STACK,
    "engines": Effect.ENGINE,
    "models": Effect.MODEL,
    "endpoints": Effect.ROUTER,
    "router": Effect.ROUTER,
    "devices": Effect.NONE,  # what it means for a model is in its settings and environment
    "budgets": Effect.ROUTER,
    "socket_activation": Effect.ROUTER,
    "residency": Effect.NONE,  # follows from memory and budgets
}

MODEL: Mapping[str, Effect] = {
    "name": Effect.MODEL,
    "aliases": Effect.ROUTER,
    "task": Effect.ROUTER,  # what the engine has to know of it is among the settings
    "engine": Effect.NONE,  # a name; `executable` says what it is
    "executable": Effect.ENGINE,
    "settings": Effect.MODEL,
    "environment": Effect.MODEL,
    "weights": Effect.FETCH,
    "socket": Effect.MODEL,
    "port": Effect.MODEL,
    "listens": Effect.ROUTER,
    "n_ctx": Effect.MODEL,
    "n_ctx_slot": Effect.ROUTER,
    "parallel": Effect.ROUTER,  # the engine's slots are among the settings
    "ttl_s": Effect.ROUTER,
    "load": Effect.ROUTER,
    "start_timeout_s": Effect.ROUTER,
    "sampling": Effect.ROUTER,
    "system_prompt": Effect.ROUTER,
    "placement": Effect.MODEL,
    "alone": Effect.ROUTER,
    "memory": Effect.ROUTER,  # claims alone: a better estimate restarts nothing
    "digest": Effect.MODEL,
    "reasons": Effect.NONE,
}

ENDPOINT: Mapping[str, Effect] = {
    "name": Effect.ROUTER,
    "listen": Effect.ROUTER,
    "apis": Effect.ROUTER,
    "models": Effect.ROUTER,
    "api_keys_file": Effect.ROUTER,
}

ENGINE: Mapping[str, Effect] = {
    "name": Effect.NONE,
    "digest": Effect.ENGINE,
    "executable": Effect.ENGINE,
    "version": Effect.NONE,  # words; the digest is what runs
    "recipe": Effect.NONE,  # the digest says it
}

ROUTER: Mapping[str, Effect] = {
    "kind": Effect.STACK,
    "path": Effect.ROUTER,
    "drain_timeout_s": Effect.ROUTER,
    "queue_timeout_s": Effect.ROUTER,
    "queue_size": Effect.ROUTER,
    "min_residency_s": Effect.ROUTER,
}

BUDGET: Mapping[str, Effect] = {
    "pool": Effect.ROUTER,
    "total_bytes": Effect.ROUTER,
    "margin_bytes": Effect.ROUTER,
}

EFFECTS: Mapping[type, Mapping[str, Effect]] = {
    Plan: PLAN,
    ModelPlan: MODEL,
    EndpointPlan: ENDPOINT,
    EnginePlan: ENGINE,
    RouterPlan: ROUTER,
    Budget: BUDGET,
}
"""Every field of every part; a test holds that none is missing."""
