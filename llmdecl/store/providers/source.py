"""Provider `source`: llmdecl's own build. Pinned are tree, recipe and flag table; nothing is built
here, that is `llmdecl build`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Failure, has_errors
from llmdecl.engines.llama_cpp import releases
from llmdecl.engines.llama_cpp.build_options import recipe_for
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions, tree_options
from llmdecl.engines.llama_cpp.flag_source import SOURCE, UnreadableFlagsError, read_flags
from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.facts.model import Flag
from llmdecl.sources.trees.origin import origin_text, parse_origin
from llmdecl.sources.trees.rules import FLAGS_UNREADABLE
from llmdecl.spec.rules import ENGINE_TREE
from llmdecl.spec.schema import SourceEngine
from llmdecl.store.layout import engine_executable
from llmdecl.store.model import LockedEngine
from llmdecl.store.providers.provider import Diagnostics, Pinned, Provider, tell
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room, damaged
from llmdecl.store.trees import Brought, Task
from llmdecl.store.wanted import WantedEngine

_TEXT_BYTES = 4 << 20
PROGRAM = "bin/llama-server"
"""Below the folder of a build."""


def pin(room: Room, want: WantedEngine, kept: LockedEngine | None) -> Pinned:
    """The tree, in the store afterwards; the recipe for this host; the flags that it will have.

    A kept pin takes the flag table of the program itself, once that is built.
    """
    if kept is not None:
        return _with_built_flags(room, want, kept), ()
    engine = want.engine
    assert isinstance(engine, SourceEngine)
    brought = _task(room, want, engine, None).bring()
    room.progress.done(want.address, "")
    return _locked(room, want, engine, brought)


def repin(room: Room, want: WantedEngine, former: LockedEngine) -> Pinned | None:
    """Another recipe of the tree that is pinned and here; `None` when it has to be brought."""
    engine, recipe = want.engine, former.recipe
    if not isinstance(engine, SourceEngine) or recipe is None:
        return None
    if recipe.archive.origin != origin_text(engine):
        return None
    if room.store.tree_problem(recipe.archive.nar_hash) is not None:
        return None
    room.progress.done(want.address, "in the store")
    return _locked(room, want, engine, Brought(recipe.archive))


def bring(room: Room, want: WantedEngine, locked: LockedEngine) -> Diagnostics:
    """Have the store hold the locked tree; what is built of it is not looked at."""
    engine, recipe = want.engine, locked.recipe
    assert isinstance(engine, SourceEngine)
    assert recipe is not None
    problem = room.store.tree_problem(recipe.archive.nar_hash)
    if problem is None:
        room.progress.done(want.address, "in the store")
        return ()
    brought = _task(room, want, engine, recipe.archive).bring()
    room.progress.done(want.address, "")
    tree = room.store.tree_folder(recipe.archive.nar_hash).name[:12]
    return (*damaged(want.address, f"tree {tree}", problem), *brought.warnings)


def missing(store: Store, locked: LockedEngine) -> int | None:
    """The archive's bytes, when its tree is not in the store."""
    if locked.recipe is None or store.tree_folder(locked.recipe.archive.nar_hash).is_dir():
        return None
    return locked.recipe.archive.size_bytes


def _task(
    room: Room, want: WantedEngine, engine: SourceEngine, expected: SourceArchive | None
) -> Task:
    key = next((key for key in ("version", "commit", "source") if getattr(engine, key)), "source")
    address = f"{want.address}.{key}"
    try:
        origin = parse_origin(engine)
    except ValueError as error:
        raise Failure(ENGINE_TREE.at(address, str(error))) from None
    room.progress.begin(want.address, None)
    return Task(room, origin, origin_text(engine), expected, address, tell(room, want))


@dataclass(frozen=True, slots=True)
class _Texts:
    """What is read of a tree, in order of names."""

    options: TreeOptions
    arguments: str | None


def _texts(tree: Path) -> _Texts:
    cmake = sorted((*tree.rglob("CMakeLists.txt"), *tree.rglob("*.cmake")))
    options = tree_options(text for path in cmake if (text := _text(path)) is not None)
    return _Texts(options, _text(tree / SOURCE))


def _text(path: Path) -> str | None:
    """A text of source code; `None` where there is none, or one larger than any is."""
    try:
        if not path.is_file() or path.stat().st_size > _TEXT_BYTES:
            return None
        return path.read_text("utf-8", "replace")
    except OSError:
        return None


def _locked(room: Room, want: WantedEngine, engine: SourceEngine, brought: Brought) -> Pinned:
    archive = brought.archive
    texts = _texts(room.store.tree_folder(archive.nar_hash))
    host = room.tools.host(room.declared)
    recipe, found = recipe_for(want.name, engine, host, archive, tree=texts.options)
    if recipe is None or has_errors(found):
        raise Failure(*found)
    recipe = recipe.replace(asked=dict(engine.options or {}))
    pinned = LockedEngine(
        kind=engine.kind,
        provider=engine.provider,
        digest=recipe.input_hash,
        executable=PROGRAM,
        binary_sha256=None,
        version=recipe.version,
        build=archive.build,
        commit=archive.commit,
        package=None,
        flags=_flags(want, recipe, texts.arguments),
        backends=recipe.backends,
        recipe=recipe,
    )
    return _with_built_flags(room, want, pinned), (*brought.warnings, *found)


def _flags(want: WantedEngine, recipe: BuildRecipe, text: str | None) -> tuple[Flag, ...]:
    """Of a known release, else what the tree's source says; a Failure when neither is there."""
    has_rpc = recipe.options.get("GGML_RPC") == "ON"
    if text is not None:
        known = releases.by_source(hashlib.sha256(text.encode()).hexdigest())
        if known is not None:
            return known.table(has_rpc=has_rpc)
    reason = f"the tree has no `{SOURCE}`"
    if text is not None:
        try:
            return read_flags(text, has_rpc=has_rpc)
        except UnreadableFlagsError as error:
            reason = f"`{SOURCE}`, {error}"
    known = releases.by_version(recipe.version)
    if known is not None:
        return known.table(has_rpc=has_rpc)
    summary = f"nobody knows the flags of llama.cpp {recipe.version} before it is built"
    raise Failure(FLAGS_UNREADABLE.at(want.address, summary, notes=(reason,)))


def _with_built_flags(room: Room, want: WantedEngine, pinned: LockedEngine) -> LockedEngine:
    """The pin with the flags that the program itself has, where it is built."""
    program = room.store.folder / engine_executable(pinned).text.lstrip("/")
    if not program.is_file():
        return pinned
    facts, _ = room.tools.probe(program, want.address)
    if facts is None or facts.flags == pinned.flags:  # one that does not run here says nothing
        return pinned
    return pinned.replace(flags=facts.flags)


SOURCE_PROVIDER = Provider(pin=pin, bring=bring, missing=missing, repin=repin)
