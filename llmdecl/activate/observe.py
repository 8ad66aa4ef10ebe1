"""The world as a value: what runs, what is in force, what is missing."""

from collections.abc import Iterable
from pathlib import Path

from llmdecl.activate import processes
from llmdecl.activate.generations import Generation
from llmdecl.activate.hands import Hands
from llmdecl.activate.live import Live, LiveModel, LiveRouter, Version
from llmdecl.activate.router_client import RouterStatus
from llmdecl.paths import Folders
from llmdecl.plan.model import Plan, Root


def observe(hands: Hands, plans: Iterable[Plan]) -> Live:
    """The stack now. `plans` say what of the store is looked for."""
    hands.manager.require_safe()
    manager = hands.manager.observe()
    status = hands.router.status()
    left = hands.journal.read()
    current = hands.generations.load_pointed("current")
    mine = processes.orphans(hands.folders.stack, manager.pid if manager else None)
    return Live(
        manager=manager,
        router=_router(status) if status else None,
        wanted=hands.generations.pointer("wanted"),
        current=hands.generations.pointer("current"),
        interrupted=left.step if left else None,
        damaged=hands.generations.damage(current) if current else (),
        absent=absent(plans, hands.folders),
        orphans=tuple(process.pid for process in mine),
    )


def _router(status: RouterStatus) -> LiveRouter:
    return LiveRouter(
        pid=status.pid,
        config_sha256=status.config_sha256,
        draining=status.draining,
        models=tuple(
            LiveModel(
                name=m.name,
                state="held" if m.held else m.state,
                pid=m.pid,
                digest=m.digest,
            )
            for m in status.models
        ),
    )


def absent(plans: Iterable[Plan], folders: Folders) -> tuple[str, ...]:
    """What these plans read of the store and is not there, as paths below it."""
    needed = set()
    for plan in plans:
        needed |= {f"weights/{w.digest}" for model in plan.models for w in model.weights}
        needed |= {
            engine.executable.text.removeprefix("/")
            for engine in plan.engines
            if engine.executable.root is Root.STORE
        }
    return tuple(sorted(path for path in needed if not _is_there(folders.store / path)))


def _is_there(path: Path) -> bool:
    """Whether a file is; a folder of weights with all that its links lead to."""
    if not path.is_dir():
        return path.exists()
    parts = tuple(path.iterdir())
    return bool(parts) and all(part.exists() for part in parts)


def version_in_force(generation: Generation | None) -> Version | None:
    """The applied side of a comparison."""
    if generation is None:
        return None
    return Version(generation.plan, generation.artefact_digests())
