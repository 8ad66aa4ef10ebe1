"""What the verbs of a stack's life share."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.activate.rules import (
    NO_GENERATION,
    NOT_CONFIRMED,
    STACK_DOWN,
    UNKNOWN_MODEL,
)
from llmdecl.diagnostics import Failure, has_errors
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.activate.changes import ChangeSet
    from llmdecl.activate.generations import Content, Generation
    from llmdecl.activate.hands import Hands
    from llmdecl.activate.router_client import Answer
    from llmdecl.cli.context import Stack
    from llmdecl.plan.model import ModelPlan, Plan
    from llmdecl.spec.schema import Spec
    from llmdecl.store.model import Lock

yes_option = click.option("--yes", "-y", is_flag=True, help="Don't ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`; a Failure (status 64) when there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure(NOT_CONFIRMED.at("--yes", "without a terminal this needs `--yes`"), status=64)
    click.confirm(question, abort=True, err=True)


def content_of(stack: "Stack") -> "Content":
    """A compiled stack as a generation takes it."""
    from llmdecl.activate.generations import Content

    assert stack.compiled.plan is not None
    return Content(
        origin=str(stack.path.absolute()),
        spec_name=f"spec{stack.path.suffix if stack.path.suffix == '.json' else '.toml'}",
        spec_text=stack.text,
        lock=stack.lock,
        facts=stack.facts,
        plan=stack.compiled.plan,
        artefacts=stack.compiled.artefacts,
    )


def require_readable(content: "Content", spec: "Spec") -> None:
    """A Failure when the system's models could not read files of this machine."""
    from llmdecl.activate.reach import require_reachable

    if content.plan.manager == "systemd":
        require_reachable(spec, Path(content.origin).parent)


def changes_to(hands: "Hands", content: "Content") -> "tuple[Generation | None, ChangeSet]":
    """The generation in force, and what it takes to get from there to `content`."""
    from llmdecl.activate.diff import diff
    from llmdecl.activate.live import version_of
    from llmdecl.activate.observe import observe, version_in_force

    current = hands.generations.load_pointed("current")
    live = observe(hands, [content.plan, *([current.plan] if current else [])])
    planned = version_of(content.plan, content.artefacts)
    return current, diff(version_in_force(current), planned, live)


def supply(spec: "Spec", lock: "Lock", base: Path, where: Folders) -> None:
    """What the lock names is in the store, engines of source built."""
    fetch(spec, lock, base, where)
    build_all(lock, where)


def fetch(spec: "Spec", lock: "Lock", base: Path, where: Folders) -> None:
    """What the lock names is in the store; a Failure with everything that could not be brought."""
    from llmdecl.cli.context import lock_path
    from llmdecl.cli.views.progress import progress_view
    from llmdecl.store.roots import register
    from llmdecl.store.sharing import in_use
    from llmdecl.store.supply import fetch_stack

    register(where.store, where.state)
    if (beside := lock_path(base / "llmdecl.toml")).exists():
        register(where.store, beside)
    with in_use(where.store), progress_view() as progress:
        problems = fetch_stack(spec, lock, base, where, progress=progress)
    if has_errors(problems):
        raise Failure(*problems)


def bring_source(spec: "Spec", lock: "Lock", base: Path, where: Folders, names: set[str]) -> None:
    """Have the store hold these engines' trees; a Failure when they can't be had."""
    engines = {name: engine for name, engine in spec.engines.items() if name in names}
    fetch(spec.model_copy(update={"models": {}, "engines": engines}), lock, base, where)


def build_all(lock: "Lock", where: Folders) -> None:
    """Build what is not built; a Failure (status 3) at the first that can't be."""
    from llmdecl.cli.building import builder, unbuilt
    from llmdecl.cli.views.build import build_progress, show_outcome

    for work, _ in unbuilt(lock, where):
        with build_progress() as tell:
            outcome = builder(where, tell).build(work.order)
        show_outcome(work, outcome, checked=False)


def spec_from(path: Path) -> "Spec":
    """A stored spec, as it was applied."""
    from llmdecl.cli.context import load_valid_spec

    return load_valid_spec(path)[1]


def require_current(hands: "Hands") -> "Generation":
    """The generation in force; a Failure when nothing was applied."""
    current = hands.generations.load_pointed("current")
    if current is None:
        raise Failure(NO_GENERATION.at("state", "nothing was applied yet"))
    return current


def require_model(plan: "Plan", name: str) -> "ModelPlan":
    """The model of this name or alias; a Failure that names the nearest one."""
    from difflib import get_close_matches

    known = {alias: model for model in plan.models for alias in (*model.aliases, model.name)}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    raise Failure(
        UNKNOWN_MODEL.at(
            name,
            f"`{name}` is not a model of this stack",
            notes=[f"models are {', '.join(model.name for model in plan.models)}"],
            help=[f"did you mean `{near[0]}`?"] if near else [],
        )
    )


def require_router(hands: "Hands") -> None:
    """A Failure when nobody is there to ask."""
    hands.manager.require_safe()
    if hands.router.status() is None:
        raise Failure(
            STACK_DOWN.at(
                "router", "the stack is down: its router does not answer", help=["`llmdecl apply`"]
            )
        )


def require_done(model: str, verb: str, answer: "Answer", hands: "Hands") -> None:
    """A Failure (status 3) when the router could not do it."""
    from llmdecl.activate.gates import not_started
    from llmdecl.activate.router_client import refused

    if answer.ok:
        return
    if answer.log_tail:
        raise Failure(not_started(model, answer, hands.manager), status=3)
    raise Failure(refused(model, verb, answer), status=3)
