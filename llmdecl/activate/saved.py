"""Saved plans: `plan --out FILE`, and `apply FILE` that carries out just that or nothing."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from llmdecl.activate.atomic import replace_file
from llmdecl.activate.changes import ChangeSet
from llmdecl.activate.generations import Content, Generation
from llmdecl.activate.rules import DAMAGED_PLAN_FILE, PLAN_MOVED_ON
from llmdecl.diagnostics import Failure
from llmdecl.emit.artefact import Artefact
from llmdecl.facts.model import Facts
from llmdecl.plan.model import Plan
from llmdecl.store.model import Lock
from llmdecl.values import Value, from_json, to_json

KIND: Literal["llmdecl plan"] = "llmdecl plan"


class SavedPlan(Value, frozen=True, kw_only=True):
    """Everything that apply needs, and what it was planned against.

    `base` is the generation in force then, `base_digest` the SHA-256 of its manifest. `stack` names
    the state folder.
    """

    kind: Literal["llmdecl plan"] = KIND
    schema: Literal[1] = 1
    stack: str
    base: int | None
    base_digest: str | None
    changes: ChangeSet
    origin: str
    spec_name: str
    spec_text: str
    lock: Lock
    facts: Facts
    plan: Plan
    artefacts: tuple[Artefact, ...]

    def content(self) -> Content:
        """As a generation takes it."""
        return Content(
            origin=self.origin,
            spec_name=self.spec_name,
            spec_text=self.spec_text.encode(),
            lock=self.lock,
            facts=self.facts,
            plan=self.plan,
            artefacts=self.artefacts,
        )


def save(
    path: Path, content: Content, changes: ChangeSet, *, base: Generation | None, stack: str
) -> None:
    """Write the plan; raises OSError."""
    saved = SavedPlan(
        stack=stack,
        base=base.number if base else None,
        base_digest=_digest(base),
        changes=changes,
        origin=content.origin,
        spec_name=content.spec_name,
        spec_text=content.spec_text.decode(),
        lock=content.lock,
        facts=content.facts,
        plan=content.plan,
        artefacts=content.artefacts,
    )
    replace_file(path.absolute(), to_json(saved), mode=0o600)


def is_saved_plan(path: Path) -> bool:
    """Whether the file says so itself; a spec never does."""
    try:
        with path.open("rb") as file:
            if not file.read(64).lstrip().startswith(b"{"):
                return False
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and tree.get("kind") == KIND


def load(path: Path) -> SavedPlan:
    """The saved plan; a Failure when this version can't read it."""
    try:
        return from_json(path.read_bytes(), SavedPlan)
    except (OSError, ValueError) as error:
        raise Failure(
            DAMAGED_PLAN_FILE.at(
                str(path), f"`{path}` can't be read as a saved plan", notes=[str(error)]
            )
        ) from error


def require_same(saved: SavedPlan, base: Generation | None, now: ChangeSet, stack: str) -> None:
    """A Failure when the stack is not what the plan was made for, or other changes are due now.

    That a model has started or stopped meanwhile changes consequences, and is no reason to refuse.
    """
    if saved.stack != stack:
        reason = "it was made for another stack (state folder)"
    elif (saved.base, saved.base_digest) != (base.number if base else None, _digest(base)):
        shown = [number or "none" for number in (saved.base, base.number if base else None)]
        reason = f"it was made for generation {shown[0]}, in force is {shown[1]}"
    elif _essence(saved.changes) != _essence(now):
        reason = "what is to be changed is no longer the same"
    else:
        return
    raise Failure(
        PLAN_MOVED_ON.at("state", "the stack has changed since the plan was saved", notes=[reason])
    )


def _essence(changes: ChangeSet) -> list[tuple[str, str, str, str]]:
    return [(c.symbol.value, c.address, c.effect.value, c.reason) for c in changes.changes]


def _digest(generation: Generation | None) -> str | None:
    if generation is None:
        return None
    return hashlib.sha256((generation.folder / "manifest.json").read_bytes()).hexdigest()
