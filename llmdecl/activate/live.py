"""What is true of a stack right now, as values: the other side of every comparison."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmdecl.emit.artefact import ArtefactSet
from llmdecl.plan.model import Plan
from llmdecl.values import Value

RUNNING_STATES = frozenset({"STARTING", "RUNNING", "STOPPING", "BACKOFF"})
"""supervisord's states in which a program has, or is about to have, a process."""

MODEL_PROGRAM = "model-"
"""What the name of a model's program begins with; the rest is the model's name."""

ROUTER_PROGRAM = "router"


ENGINE_FILES = "engines/"
"""How engines are built: for people, read by nothing that runs."""

ROUTER_FILES = {
    "llmdecl": "router.json",
    "llama-swap": "llama-swap.yaml",
    "none": "systemd/llmdecl.target",
}
"""What a router reads, by its kind; without one, what stands for it."""


class LiveProgram(Value, frozen=True, kw_only=True):
    """A program at the manager.

    `configured` is the `LLMDECL_DIGEST` in its command, `running` the one in its process's
    environment; `None` where there is none (the router has neither). `charged_bytes` is what the
    kernel counts as its memory, where the manager says so.
    """

    name: str
    state: str
    pid: int | None
    configured: str | None
    running: str | None
    charged_bytes: int | None = None


class LiveManager(Value, frozen=True, kw_only=True):
    """A manager that answers. `differs` are variables of its environment that are not as `apply`
    would set them now: it has to be started anew, with everything it runs. `differing_files` are
    those of ours outside our folders that are not as `apply` would write them."""

    pid: int
    programs: tuple[LiveProgram, ...]
    differs: tuple[str, ...] = ()
    differing_files: tuple[str, ...] = ()


class LiveModel(Value, frozen=True, kw_only=True):
    """A model as the router sees it."""

    name: str
    state: str
    pid: int | None
    digest: str | None


class LiveRouter(Value, frozen=True, kw_only=True):
    """A router that answers."""

    pid: int
    config_sha256: str
    draining: bool
    models: tuple[LiveModel, ...]


class Live(Value, frozen=True, kw_only=True):
    """The stack as found.

    `wanted` and `current` are generations; `interrupted` the step after which a change ended
    without an end; `damaged` files of the current generation; `absent` what the planned stack
    needs of the store and is not there (paths below the store); `orphans` PIDs with this stack's
    mark that nobody owns.
    """

    manager: LiveManager | None
    router: LiveRouter | None
    wanted: int | None
    current: int | None
    interrupted: str | None = None
    damaged: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    orphans: tuple[int, ...] = ()

    def running(self) -> tuple[str, ...]:
        """Models that have a process, by what the manager says, or a router that keeps them."""
        if self.manager is None:
            return ()
        kept = tuple(m.name for m in self.router.models if m.pid) if self.router else ()
        if not any(p.name.startswith(MODEL_PROGRAM) for p in self.manager.programs):
            return kept
        return tuple(
            program.name.removeprefix(MODEL_PROGRAM)
            for program in self.manager.programs
            if program.name.startswith(MODEL_PROGRAM) and program.state in RUNNING_STATES
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A plan with what was written for it: SHA-256 by path."""

    plan: Plan
    files: Mapping[str, str]


def version_of(plan: Plan, artefacts: ArtefactSet) -> Version:
    """A plan that was just compiled."""
    import hashlib

    return Version(
        plan,
        {a.path: hashlib.sha256(a.text.encode()).hexdigest() for a in artefacts},
    )
