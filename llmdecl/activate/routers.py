"""The router of a stack: ours on its control socket, or another one in its place."""

import os
from pathlib import Path
from typing import Protocol

from llmdecl.activate.generations import Generations
from llmdecl.activate.live import ROUTER_FILES
from llmdecl.activate.llama_swap import LlamaSwapClient
from llmdecl.activate.managers.manager import Manager
from llmdecl.activate.no_router import NoRouter
from llmdecl.activate.router_client import Answer, RouterClient, RouterStatus
from llmdecl.activate.rules import ROUTER_UNRUNNABLE
from llmdecl.diagnostics import Failure
from llmdecl.emit.doors import door
from llmdecl.paths import Folders
from llmdecl.plan.model import Plan


class Router(Protocol):
    """What apply and the verbs ask of a router; times in seconds."""

    def status(self, *, timeout_s: float = 5) -> RouterStatus | None:
        """What it says; `None` when it does not answer."""

    def reload(self, *, timeout_s: float) -> None:
        """Take the new configuration; a Failure when it keeps the old one."""

    def drain(self, *, timeout_s: float) -> None:
        """Admit nothing more and wait for what is in flight."""

    def hold(self, model: str, *, timeout_s: float) -> Answer:
        """Stop `model` and keep its requests waiting."""

    def release(self, model: str, *, timeout_s: float) -> Answer:
        """The end of a hold."""

    def start(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is ready."""

    def stop(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is gone."""

    def restart(self, model: str, *, timeout_s: float) -> Answer:
        """Stop, then start."""


class Routers:
    """Whichever router the manager runs, by what `wanted` points at, at each call."""

    def __init__(self, folders: Folders, manager: Manager) -> None:
        self.folders = folders
        self.manager = manager

    def _now(self) -> Router:
        folder = self.folders.state / "wanted"
        if (folder / ROUTER_FILES["llmdecl"]).exists() or not folder.exists():
            return RouterClient(self.folders.router_socket)
        wanted = Generations(self.folders.state).load_pointed("wanted")
        if wanted is None:
            return RouterClient(self.folders.router_socket)
        if wanted.plan.router.kind == "none":
            return NoRouter(wanted, self.manager)
        return LlamaSwapClient(wanted.plan, self.folders.stack, self.manager)

    def status(self, *, timeout_s: float = 5) -> RouterStatus | None:
        """What it says; `None` when it does not answer."""
        return self._now().status(timeout_s=timeout_s)

    def reload(self, *, timeout_s: float) -> None:
        """Take the new configuration."""
        self._now().reload(timeout_s=timeout_s)

    def drain(self, *, timeout_s: float) -> None:
        """Admit nothing more and wait for what is in flight."""
        self._now().drain(timeout_s=timeout_s)

    def hold(self, model: str, *, timeout_s: float) -> Answer:
        """Stop `model` and keep its requests waiting."""
        return self._now().hold(model, timeout_s=timeout_s)

    def release(self, model: str, *, timeout_s: float) -> Answer:
        """The end of a hold."""
        return self._now().release(model, timeout_s=timeout_s)

    def start(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is ready."""
        return self._now().start(model, timeout_s=timeout_s)

    def stop(self, model: str, *, timeout_s: float) -> Answer:
        """Done when the model is gone."""
        return self._now().stop(model, timeout_s=timeout_s)

    def restart(self, model: str, *, timeout_s: float) -> Answer:
        """Stop, then start."""
        return self._now().restart(model, timeout_s=timeout_s)


def require_runnable(plan: Plan) -> None:
    """A Failure when the manager could not start the plan's router."""
    if plan.router.kind != "llama-swap":
        return
    entrance, path = door(plan), plan.router.path
    compiles = ("`llmdecl compile -o DIR` writes its configuration all the same",)
    if path is None:
        summary = f"nobody says where `{plan.router.kind}` is"
        raise Failure(ROUTER_UNRUNNABLE.at("router.path", summary, help=compiles))
    if not (Path(path).is_file() and os.access(path, os.X_OK)):
        summary = f"`{path}` is no program that can be started"
        raise Failure(ROUTER_UNRUNNABLE.at("router.path", summary))
    if entrance is not None and entrance.api_keys_file is not None:
        raise Failure(
            ROUTER_UNRUNNABLE.at(
                f"endpoints.{entrance.name}.api-keys-file",
                f"`apply` gives no secret to `{plan.router.kind}`, which would need a key",
                help=compiles,
            )
        )
