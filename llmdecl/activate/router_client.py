"""The router's control API, as a client: HTTP and JSON on the router's own socket."""

import http.client
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from llmdecl.activate.rules import MODEL_REFUSED, ROUTER_REFUSED, ROUTER_SILENT
from llmdecl.activate.unix_http import UnixConnection
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.spec.address import address as address_of


class PoolStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of memory: what models may use of it, and what the loaded ones claim."""

    name: str
    budget_bytes: int
    claimed_bytes: int


class PlacementStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded model's engine says of where it is, next to the plan. `memory` is bytes by
    pool. `known` is false when its log says nothing."""

    known: bool
    where: str = ""
    memory: dict[str, int] = {}
    differences: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model: `stopped starting ready draining stopping held backoff`; times in seconds."""

    name: str
    state: str
    pid: int | None = None
    digest: str | None = None
    in_flight: int = 0
    queued: int = 0
    idle_s: float | None = None
    ttl_left_s: float | None = None
    started_s_ago: float | None = None
    load_s: float | None = None
    adopted: bool = False
    held: bool = False
    placement: PlacementStatus | None = None
    error: str | None = None
    log_tail: str | None = None


class RouterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `GET /status`. Keys that a newer router adds are ignored."""

    pid: int
    config_sha256: str
    draining: bool = False
    pools: tuple[PoolStatus, ...] = ()
    models: tuple[ModelStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply: HTTP status, `error` and `log_tail` of its body."""

    status: int
    error: str
    log_tail: str

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status == 200


class _Body(msgspec.Struct, frozen=True):
    error: str = ""
    log_tail: str | None = None


class RouterClient:
    """Every call opens a connection of its own and waits for the answer."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def status(self, *, timeout_s: float = 5) -> RouterStatus | None:
        """What the router says; `None` when none answers (properly, in time)."""
        try:
            code, body = self._send("GET", "/status", timeout_s)
            return msgspec.json.decode(body, type=RouterStatus) if code == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def reload(self, *, timeout_s: float) -> None:
        """Take the new `router.json`; a Failure with its words when it keeps the old one."""
        answer = self._post("/reload", timeout_s)
        if not answer.ok:
            raise Failure(
                ROUTER_REFUSED.at(
                    "router",
                    f"the router refuses its new configuration: {answer.error}",
                    notes=log_notes(answer.log_tail),
                ),
                status=3,
            )

    def drain(self, *, timeout_s: float) -> None:
        """Admit nothing more and wait for what is in flight."""
        self._post("/drain", timeout_s)

    def hold(self, model: str, *, timeout_s: float) -> Answer:
        """Drain and stop `model` and keep its requests waiting; done when the process is gone."""
        return self._model(model, "hold", timeout_s)

    def release(self, model: str, *, timeout_s: float) -> Answer:
        """The end of a hold."""
        return self._model(model, "release", timeout_s)

    def start(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is ready."""
        return self._model(model, "start", timeout_s)

    def stop(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is drained and gone."""
        return self._model(model, "stop", timeout_s)

    def restart(self, model: str, *, timeout_s: float) -> Answer:
        """Stop, then start."""
        return self._model(model, "restart", timeout_s)

    def _model(self, model: str, verb: str, timeout_s: float) -> Answer:
        return self._post(f"/models/{quote(model, safe='')}/{verb}", timeout_s)

    def _post(self, path: str, timeout_s: float) -> Answer:
        """A Failure when nobody is there; an answer of status 504 when it does not come in time."""
        try:
            code, body = self._send("POST", path, timeout_s)
        except TimeoutError:
            return Answer(504, f"no answer within {timeout_s:.0f} s", "")
        except (OSError, http.client.HTTPException) as error:
            raise Failure(
                silent(f"`POST {path}`: {str(error) or type(error).__name__}"), status=3
            ) from (error)
        try:
            said = msgspec.json.decode(body, type=_Body)
        except ValueError:
            said = _Body(error=body.decode(errors="replace")[:200])
        return Answer(code, said.error, said.log_tail or "")

    def _send(self, method: str, path: str, timeout_s: float) -> tuple[int, bytes]:
        connection = UnixConnection(self.socket, timeout_s)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


def silent(note: str, *more: str) -> Diagnostic:
    """The router does not answer."""
    return ROUTER_SILENT.at("router", "the router does not answer", notes=(note, *more))


def refused(model: str, verb: str, answer: Answer) -> Diagnostic:
    """The router can't do it."""
    return MODEL_REFUSED.at(
        address_of("models", model),
        f"can't {verb} `{model}`: {answer.error or f'status {answer.status}'}",
        notes=log_notes(answer.log_tail),
    )


def log_notes(tail: str, *, lines: int = 12) -> tuple[str, ...]:
    """The end of a log as notes."""
    return tuple(f"log: {line}" for line in tail.splitlines()[-lines:] if line.strip())
