"""No router: what apply and the verbs ask of one is asked of systemd's sockets."""

import http.client
import select
import time

from llmdecl.activate.ask import address_door
from llmdecl.activate.generations import Generation
from llmdecl.activate.live import MODEL_PROGRAM, ROUTER_FILES, ROUTER_PROGRAM, LiveProgram
from llmdecl.activate.managers.manager import Manager
from llmdecl.activate.router_client import Answer, ModelStatus, RouterStatus

DONE = Answer(200, "", "")
SLICE_S = 1.0
STATES = {
    "RUNNING": "ready",
    "STARTING": "starting",
    "STOPPING": "stopping",
    "FATAL": "failed",
}
GAVE_UP = "its service failed: `llmdecl logs {name}`, and `llmdecl start {name}` tries again"


class NoRouter:
    """`wanted` is what is to be in force: the units are its own, so it is."""

    def __init__(self, wanted: Generation, manager: Manager) -> None:
        self.wanted = wanted
        self.manager = manager

    def status(self, *, timeout_s: float = 5) -> RouterStatus | None:  # noqa: ARG002
        """By what systemd says of services; `None` when its target is not on."""
        programs = self._programs()
        target = programs.get(ROUTER_PROGRAM)
        if target is None or target.state != "RUNNING":
            return None
        return RouterStatus(
            pid=1,
            config_sha256=self.wanted.manifest.files[ROUTER_FILES["none"]],
            models=tuple(
                _model(model.name, programs.get(f"{MODEL_PROGRAM}{model.name}"))
                for model in self.wanted.plan.models
            ),
        )

    def _programs(self) -> dict[str, LiveProgram]:
        live = self.manager.observe()
        return {program.name: program for program in live.programs} if live else {}

    def reload(self, *, timeout_s: float) -> None:
        """Nothing reads a configuration."""

    def drain(self, *, timeout_s: float) -> None:
        """Nobody can."""

    def hold(self, model: str, *, timeout_s: float) -> Answer:
        """Nothing holds a model back; it is stopped."""
        return self.stop(model, timeout_s=timeout_s)

    def release(self, model: str, *, timeout_s: float) -> Answer:  # noqa: ARG002
        """Nothing was held back."""
        return DONE

    def start(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is ready: asking for its health starts it, and idle time counts."""
        where = next((m.listens for m in self.wanted.plan.models if m.name == model), ())
        if not where:
            return Answer(404, f"`{model}` has no address", "")
        deadline = time.monotonic() + timeout_s
        self.manager.start_program(
            ROUTER_PROGRAM
        )  # a service that failed too often took its socket
        connection = address_door(where[0]).connect(SLICE_S)
        try:
            connection.connect()
            connection.request("GET", "/health", headers={"Connection": "close"})
            return self._answer(connection, model, deadline)
        except (OSError, http.client.HTTPException) as error:
            return Answer(503, str(error) or type(error).__name__, "")
        finally:
            connection.close()

    def _answer(
        self, connection: http.client.HTTPConnection, model: str, deadline: float
    ) -> Answer:
        """The answer to what was sent, in slices, because the service may fail meanwhile."""
        while not select.select([connection.sock], [], [], SLICE_S)[0]:
            if time.monotonic() > deadline:
                return Answer(504, "no answer in time", "")
            program = self._programs().get(f"{MODEL_PROGRAM}{model}")
            if program is not None and program.state == "FATAL":
                return Answer(503, "its service failed", "systemd gave up")
        reply = connection.getresponse()
        return DONE if reply.status == 200 else Answer(reply.status, reply.reason, "")

    def stop(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is gone, its proxy with it; requests in flight are cut."""
        self.manager.stop_program(f"{MODEL_PROGRAM}{model}", timeout_s=timeout_s)
        return DONE

    def restart(self, model: str, *, timeout_s: float) -> Answer:
        """Stop, then start."""
        self.stop(model, timeout_s=timeout_s)
        return self.start(model, timeout_s=timeout_s)


def _model(name: str, program: LiveProgram | None) -> ModelStatus:
    if program is None:
        return ModelStatus(name=name, state="stopped")
    state = STATES.get(program.state, "stopped")
    error = GAVE_UP.format(name=name) if state == "failed" else None
    return ModelStatus(name=name, state=state, pid=program.pid, digest=program.running, error=error)
