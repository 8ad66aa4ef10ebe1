"""llama-swap in the router's place, as a client: its HTTP interface on the endpoint itself.

It has neither drain nor hold: those say that they are done. A reload would stop every model, so it
is started anew instead, by the digest of its configuration in its environment.
"""

import http.client
import json
import time
from collections.abc import Iterator
from urllib.parse import quote

from llmdecl.activate import processes
from llmdecl.activate.live import ROUTER_PROGRAM
from llmdecl.activate.managers.manager import Manager
from llmdecl.activate.router_client import Answer, ModelStatus, RouterStatus
from llmdecl.emit.doors import door
from llmdecl.plan.model import Plan

DONE = Answer(200, "", "")
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # not bound here
STOP_S = 40
"""Its own budget for a shutdown is 35 s."""


class LlamaSwapClient:
    """Every call opens a connection of its own and waits for the answer."""

    def __init__(self, plan: Plan, stack: str, manager: Manager) -> None:
        self.plan = plan
        self.stack = stack
        self.manager = manager

    def status(self, *, timeout_s: float = 5) -> RouterStatus | None:
        """What it says, with PIDs and digests by the marks of processes; `None` when it does not
        answer, or answers without being the manager's."""
        live = self.manager.observe()
        program = (
            next((p for p in live.programs if p.name == ROUTER_PROGRAM), None) if live else None
        )
        if program is None or program.pid is None:
            return None
        try:
            code, _ = self._send("GET", "/health", timeout_s)
            _, body = self._send("GET", "/running", timeout_s)
            running = json.loads(body)["running"]
            states = {str(each["model"]): str(each["state"]) for each in running}
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None
        if code != 200:
            return None
        return RouterStatus(
            pid=program.pid,
            config_sha256=program.running or "",
            models=tuple(self._models(states)),
        )

    def _models(self, states: dict[str, str]) -> Iterator[ModelStatus]:
        marks = [(p.pid, processes.environment(p.pid)) for p in processes.marked(self.stack)]
        found = {
            marks["LLMDECL_MODEL"]: (pid, marks) for pid, marks in marks if "LLMDECL_MODEL" in marks
        }
        for model in self.plan.models:
            pid, environment = found.get(model.name, (None, {}))
            yield ModelStatus(
                name=model.name,
                state=states.get(model.name, "stopped"),
                pid=pid,
                digest=environment.get("LLMDECL_DIGEST"),
            )

    def reload(self, *, timeout_s: float) -> None:
        """Start it anew."""
        self.manager.stop_program(ROUTER_PROGRAM, timeout_s=max(timeout_s, STOP_S))
        self.manager.start_program(ROUTER_PROGRAM)

    def drain(self, *, timeout_s: float) -> None:
        """It can't be told to."""

    def hold(self, model: str, *, timeout_s: float) -> Answer:
        """Nothing holds a model back; it is unloaded."""
        return self.stop(model, timeout_s=timeout_s)

    def release(self, model: str, *, timeout_s: float) -> Answer:  # noqa: ARG002
        """Nothing was held back."""
        return DONE

    def start(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is ready: asking for its health loads it."""
        return self._ask("GET", f"/upstream/{quote(model, safe='')}/health", timeout_s)

    def stop(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is gone; requests in flight are cut."""
        deadline = time.monotonic() + timeout_s
        path = f"/api/models/unload/{quote(model, safe='')}"
        answer = self._ask("POST", path, timeout_s)
        while answer.ok:
            status = self.status()
            if status is None or not any(m.pid for m in status.models if m.name == model):
                return answer
            if time.monotonic() > deadline:
                return Answer(504, f"no answer within {timeout_s:.0f} s", "")
            time.sleep(0.02)
        return answer

    def restart(self, model: str, *, timeout_s: float) -> Answer:
        """Stop, then start."""
        answer = self.stop(model, timeout_s=timeout_s)
        return self.start(model, timeout_s=timeout_s) if answer.ok else answer

    def _ask(self, method: str, path: str, timeout_s: float) -> Answer:
        try:
            code, body = self._send(method, path, timeout_s)
        except TimeoutError:
            return Answer(504, f"no answer within {timeout_s:.0f} s", "")
        except (OSError, http.client.HTTPException) as error:
            return Answer(503, str(error) or type(error).__name__, "")
        return DONE if code == 200 else Answer(code, body.decode(errors="replace")[:200], "")

    def _send(self, method: str, path: str, timeout_s: float) -> tuple[int, bytes]:
        entrance = door(self.plan)
        if entrance is None:
            raise ConnectionRefusedError("no TCP endpoint")
        host = entrance.listen.host or ""
        connection = http.client.HTTPConnection(
            WILDCARDS.get(host, host), entrance.listen.port, timeout=timeout_s
        )
        try:
            connection.request(method, path, headers={"Connection": "close"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()
