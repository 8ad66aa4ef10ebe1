"""What the steps of a change work with, and how they tell of it."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from llmdecl.activate.generations import Generation, Generations
from llmdecl.activate.journal import Journal, JournalFile
from llmdecl.activate.managers import MANAGERS
from llmdecl.activate.managers.manager import Manager
from llmdecl.activate.routers import Router, Routers
from llmdecl.activate.rules import MANAGER_CHANGED
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.paths import Folders

Say = Callable[[str], None]

DEFAULT_MANAGER = "supervisord"


def nothing(_text: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Hands:
    """One stack's parts. `say` gets a line for people before something that takes time; `after` the
    name of each step once it is done and journaled (tests end the process there)."""

    folders: Folders
    manager: Manager
    router: Router
    generations: Generations
    journal: JournalFile
    say: Say = nothing
    after: Say = nothing


def manager_in_force(folders: Folders) -> str | None:
    """Of the generation that was applied last; `None`: none was."""
    generations = Generations(folders.state)
    found = generations.load_pointed("current") or generations.load_pointed("wanted")
    return found.plan.manager if found else None


def hands_for(
    folders: Folders, *, say: Say = nothing, after: Say = nothing, manager: str | None = None
) -> Hands:
    """The real parts of the stack in these folders; the manager is the one in force, else the one
    that is named.

    Raises Failure when both are there and differ.
    """
    kept = manager_in_force(folders)
    if kept is not None and manager is not None and kept != manager:
        keeper = MANAGERS[kept](folders.under(kept))
        if keeper.is_here():
            summary = f"the stack runs under {kept}, and {manager} is wanted"
            helps = ["first `llmdecl down`"]
            raise Failure(MANAGER_CHANGED.at("manager.kind", summary, help=helps))
        kept = manager
    folders = folders.under(kept or manager or DEFAULT_MANAGER)
    keeper = MANAGERS[kept or manager or DEFAULT_MANAGER](folders)
    return Hands(
        folders=folders,
        manager=keeper,
        router=Routers(folders, keeper),
        generations=Generations(folders.state),
        journal=JournalFile(folders.state),
        say=say,
        after=after,
    )


def check_folders(folders: Folders) -> None:
    """A Failure when a path can't be carried by a configuration or the run folder is not ours."""
    hands_for(folders).manager.require_safe()


@dataclass(slots=True)
class Task:
    """A change under way: its journal, kept in step with the file."""

    hands: Hands
    journal: Journal
    drain_timeout_s: float
    warnings: list[Diagnostic] = field(default_factory=list)

    @property
    def patience_s(self) -> float:
        """How long a drain and the stop after it may take."""
        return self.drain_timeout_s + 30

    def did(self, step: str) -> None:
        """A step is done."""
        self.journal = self.journal.replace(step=step)
        self.hands.journal.write(self.journal)
        self.hands.after(step)

    def will_stop(self, models: Iterable[str]) -> None:
        """These run and are about to be stopped: remembered, to run again at the end."""
        names = tuple(sorted({*self.journal.restart, *models}))
        if names != self.journal.restart:
            self.journal = self.journal.replace(restart=names)
            self.hands.journal.write(self.journal)


def begin(
    hands: Hands,
    verb: Literal["apply", "rollback", "down"],
    *,
    target: Generation | None,
    previous: Generation | None,
) -> Task:
    """A journaled change; what one before it had stopped is remembered."""
    left = hands.journal.read()
    plans = [generation.plan for generation in (target, previous) if generation is not None]
    task = Task(
        hands,
        Journal(
            verb=verb,
            pid=os.getpid(),
            target=target.number if target else None,
            previous=previous.number if previous else None,
            restart=left.restart if left else (),
        ),
        drain_timeout_s=max((plan.router.drain_timeout_s for plan in plans), default=30),
    )
    task.did("begin")
    return task
