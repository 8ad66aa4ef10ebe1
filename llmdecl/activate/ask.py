"""A real request to a model: the last gate before a generation counts as good."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmdecl.activate.router_client import log_notes
from llmdecl.activate.rules import CONTEXT_SMALLER, NO_ANSWER
from llmdecl.activate.unix_http import UnixConnection
from llmdecl.diagnostics import Failure
from llmdecl.emit.doors import door as entrance_of
from llmdecl.plan.model import LOOPBACK, Address, EndpointPlan, ModelPlan, Plan
from llmdecl.spec.address import address as address_of

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # not bound here

QUESTIONS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "seed": 1},
        "choices",
    ),
    "completion": ("/v1/completions", {"prompt": "Hi", "max_tokens": 1, "seed": 1}, "choices"),
    "embedding": ("/v1/embeddings", {"input": "Hi"}, "data"),
    "rerank": ("/v1/rerank", {"query": "Hi", "documents": ["Hello"]}, "results"),
}
"""By task: path, body, and the key that an answer has."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a model can be asked: an endpoint (`host`, `port` or `path`) or its own socket."""

    host: str | None
    port: int | None
    path: Path | None
    key: str | None

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection, not opened yet."""
        if self.path is not None:
            return UnixConnection(self.path, timeout_s)
        return http.client.HTTPConnection(self.host or "127.0.0.1", self.port, timeout=timeout_s)

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        own = {"Content-Type": "application/json", "Connection": "close"}
        return own | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


def first_key(path: str) -> str | None:
    """The first key of an API key file: one a line, `#` starts a comment; `None` if unreadable."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, ValueError):
        return None
    keys = (line.strip() for line in lines)
    return next((key for key in keys if key and not key.startswith("#")), None)


def endpoint_door(endpoint: EndpointPlan) -> Door | None:
    """The way in; `None` when it wants a key that can't be read."""
    key = None
    if endpoint.api_keys_file is not None:
        key = first_key(endpoint.api_keys_file)
        if key is None:
            return None
    return address_door(endpoint.listen, key)


def address_door(where: Address, key: str | None = None) -> Door:
    """The way to who listens there."""
    if where.path is not None:
        return Door(None, None, Path(where.path), key)
    host = where.host or ""
    return Door(WILDCARDS.get(host, host), where.port, None, key)


def door_of(plan: Plan, model: ModelPlan, run: Path) -> Door:
    """The first endpoint that serves `model` the OpenAI way, else the model's own door."""
    if model.listens:
        return address_door(model.listens[0])
    entrances = plan.endpoints
    if plan.router.kind != "llmdecl":  # it has but one
        entrances = tuple(each for each in plan.endpoints if each is entrance_of(plan))
    for endpoint in entrances:
        if model.name in endpoint.models and "openai" in endpoint.apis:
            door = endpoint_door(endpoint)
            if door is not None:
                return door
    return own_door(model, run)


def own_door(model: ModelPlan, run: Path) -> Door:
    """The model's own socket, or its port of loopback."""
    if model.port is not None:
        return Door(LOOPBACK, model.port, None, None)
    return Door(None, None, run / model.socket, None)


def one_token(plan: Plan, model: ModelPlan, run: Path) -> None:
    """One seeded token (a vector for an embedding model) comes back; else a Failure."""
    path, body, key = QUESTIONS[model.task]
    door = door_of(plan, model, run)
    try:
        status, data = _send(
            door, "POST", path, {"model": model.name, **body}, model.start_timeout_s
        )
        answer = json.loads(data)
        good = status == 200 and isinstance(answer, dict) and bool(answer.get(key))
        said = data.decode(errors="replace")[:300]
    except (OSError, http.client.HTTPException, ValueError) as error:
        good, status, said = False, 0, str(error) or type(error).__name__
    if not good:
        words = f"status {status}" if status else "no answer"
        raise Failure(
            NO_ANSWER.at(
                address_of("models", model.name),
                f"`{model.name}` is ready, but does not answer `POST {path}`: {words}",
                notes=log_notes(said),
            ),
            status=3,
        )


def context_as_planned(model: ModelPlan, run: Path) -> None:
    """The engine gives one request at least the planned context; else a Failure.

    An engine that does not say is believed.
    """
    door = own_door(model, run)
    try:
        status, data = _send(door, "GET", "/props", None, 10)
        props = json.loads(data) if status == 200 else {}
        n_ctx = props["default_generation_settings"]["n_ctx"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return
    if isinstance(n_ctx, int) and 0 < n_ctx < model.n_ctx_slot:
        raise Failure(
            CONTEXT_SMALLER.at(
                address_of("models", model.name, "ctx-size"),
                f"`{model.name}` has a context of {n_ctx}, planned are {model.n_ctx_slot}",
            ),
            status=3,
        )


def _send(
    door: Door, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float
) -> tuple[int, bytes]:
    connection = door.connect(timeout_s)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, body=text, headers=door.headers())
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
