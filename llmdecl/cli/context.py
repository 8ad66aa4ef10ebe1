"""What verbs share: the spec argument, the folders, and the way from a file to a compiled plan."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from llmdecl.cli.rules import NO_SPEC
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.paths import Folders, folders, is_systems

if TYPE_CHECKING:
    from llmdecl.compiler import Compiled
    from llmdecl.facts.model import Facts
    from llmdecl.spec.load import Loaded
    from llmdecl.spec.schema import Spec
    from llmdecl.store.model import Lock

SPEC_NAMES = ("llmdecl.toml", "llmdecl.json")

F = TypeVar("F", bound=Callable[..., Any])

spec_argument = click.argument(
    "spec", required=False, type=click.Path(path_type=Path), metavar="[SPEC]"
)
"""The spec's file, or a folder that holds one; default: `llmdecl.toml` or `llmdecl.json` here."""

facts_option = click.option(
    "--facts",
    "facts_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Plan for the machine of this recording (`llmdecl facts --output FILE`).",
)


def folder_options(command: F) -> F:
    """`--state-dir`, `--store-dir`, `--cache-dir`, handed over as one `where: Folders`."""
    import functools

    @functools.wraps(command)
    def with_folders(
        *args: Any,
        state_dir: Path | None,
        store_dir: Path | None,
        cache_dir: Path | None,
        **kwargs: Any,
    ) -> Any:
        system = is_systems(lambda: _wants_systemd(kwargs.get("spec")))
        where = folders(state=state_dir, store=store_dir, cache=cache_dir, system=system)
        return command(*args, where=where, **kwargs)

    wrapped: Any = with_folders
    for name, text in (
        ("cache", "What can be worked out again (LLMDECL_CACHE_DIR)."),
        ("store", "Weights and engines (LLMDECL_STORE_DIR)."),
        ("state", "Generations, logs and state of this stack (LLMDECL_STATE_DIR)."),
    ):
        option = click.option(
            f"--{name}-dir", type=click.Path(path_type=Path, file_okay=False), help=text
        )
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # click's decorators keep the callable's kind


def _wants_systemd(spec: Path | None) -> bool:
    """Whether a spec, or a saved plan, names the system's manager; false for what can't be read,
    which is said later."""
    import json
    import tomllib

    try:
        path = find_spec(spec)
        if not path.is_file():  # what comes through a pipe can be read only once
            return False
        text = path.read_text("utf-8")
        data: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        manager = data.get("manager") or data.get("plan", {}).get("manager")
        return (manager if isinstance(manager, str) else manager["kind"]) == "systemd"
    except (Failure, OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return False


def find_spec(spec: Path | None) -> Path:
    """The file that `SPEC` means; a Failure when there is none."""
    folder = spec or Path()
    if not folder.is_dir():
        return folder
    for name in SPEC_NAMES:
        if (folder / name).is_file():
            return folder / name
    raise Failure(
        NO_SPEC.at(
            str(folder),
            f"`{folder}` holds neither `llmdecl.toml` nor `llmdecl.json`",
        )
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """What a stored generation was made of, or a spec's file with the lock beside it.

    `base` is where relative sources start; `root` is what keeps its files in a store: the lock, or
    the state folder with the generation.
    """

    loaded: "Loaded"
    spec: "Spec"
    lock: "Lock"
    root: Path
    base: Path


def load_locked(spec: Path | None) -> Applied:
    """From a spec's file, a folder that holds one, or a generation's folder; a Failure as ever."""
    from llmdecl.activate.generations import Generations

    if spec is not None and (spec / "manifest.json").is_file():
        folder = spec.resolve()
        generation = Generations(folder.parents[1]).load(int(folder.name))
        loaded, valid = load_valid_spec(generation.spec_file())
        base = Path(generation.manifest.origin).parent
        return Applied(loaded, valid, generation.lock(), folder.parents[1], base)
    path = find_spec(spec)
    loaded, valid = load_valid_spec(path)
    return Applied(loaded, valid, load_lock(path), lock_path(path), path.parent.absolute())


@dataclass(frozen=True, slots=True)
class Stack:
    """A spec that checks, with its lock, facts and what was compiled from them."""

    path: Path
    text: bytes
    loaded: "Loaded"
    spec: "Spec"
    lock: "Lock"
    facts: "Facts"
    compiled: "Compiled"
    diagnostics: tuple[Diagnostic, ...]
    """Of every room, with spans, sorted by place."""


def lock_path(spec: Path) -> Path:
    """`llmdecl.lock` beside the spec."""
    return spec.parent / "llmdecl.lock"


def load_valid_spec(path: Path) -> tuple["Loaded", "Spec"]:
    """The spec; a Failure with its diagnostics when it has errors."""
    from llmdecl.spec.load import load_spec

    loaded = load_spec(path)
    if loaded.spec is None or has_errors(loaded.diagnostics):
        raise Failure(*loaded.diagnostics)
    return loaded, loaded.spec


def load_lock(path: Path) -> "Lock":
    """The lock beside the spec, or an empty one; a Failure when it can't be read."""
    from llmdecl.store.lock import read_lock
    from llmdecl.store.model import Lock

    lock, problems = read_lock(lock_path(path))
    if has_errors(problems):
        raise Failure(*problems)
    return lock or Lock()


def compile_stack(spec: Path | None, where: Folders, *, facts_file: Path | None = None) -> Stack:
    """From file to compiled stack. A Failure only when the spec itself can't be read.

    The diagnostics of facts and compiler are in the result: `check` shows them, the verbs that
    need a plan go through `require_plan`.
    """
    from llmdecl.compiler import compile_spec
    from llmdecl.facts.gather import gather
    from llmdecl.spec.load import place

    path = find_spec(spec)
    loaded, valid = load_valid_spec(path)
    lock = load_lock(path)
    if facts_file is None:
        facts, found = gather(valid, lock, where, path.parent)
    else:
        from llmdecl.facts.record import read_facts

        recorded, found = read_facts(facts_file)
        if recorded is None:
            raise Failure(*found)
        facts = recorded
    compiled = compile_spec(valid, facts, lock)
    diagnostics = (
        *loaded.diagnostics,
        *place((*found, *compiled.diagnostics), loaded.source),
    )
    return Stack(path, path.read_bytes(), loaded, valid, lock, facts, compiled, diagnostics)


def require_plan(stack: Stack) -> None:
    """Shows warnings; a Failure with everything found when there is no plan."""
    if stack.compiled.plan is None or has_errors(stack.diagnostics):
        raise Failure(*stack.diagnostics)
    if stack.diagnostics:
        from llmdecl.cli.views.diagnostics import show

        show(stack.diagnostics)
