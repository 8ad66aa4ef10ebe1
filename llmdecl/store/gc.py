"""Clearing out what no lock names. Call all of it inside `sharing.alone`.

Only what llmdecl puts into a store is looked at, by its form; anything else is left and said. A
symbolic link is taken away as a link. An entry leaves by one rename, so whoever is killed leaves
it whole or in a work place that the next one sweeps.
"""

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.store.layout import (
    SPLIT,
    locked_engine_folder,
    nix_root,
    tree_folder,
    weights_folder,
)
from llmdecl.store.model import Lock
from llmdecl.store.partial import dead, remove_tree, sweep, workplace

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ENGINE = re.compile(r"(?P<digest>[0-9a-f]{64})-[^/]+")
_ORIGIN = re.compile(r"(?P<digest>[0-9a-f]{64})\.json")
_DOWNLOAD = re.compile(r"(?P<digest>[0-9a-f]{64})|web-[0-9a-f]{64}")
_NIX_ROOT = re.compile(r"[0-9a-z]{32}-[A-Za-z0-9+._?=-]+")
_UNNAMED = "no lock names it"
_OWN = ("locks", "roots")
"""Folders that are not for entries."""


@dataclass(frozen=True, slots=True)
class Item:
    """A path below the store, why, and the bytes that its removal frees."""

    path: str
    why: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Named:
    """What locks name: paths below the store, and digests of files on their way."""

    paths: frozenset[str]
    digests: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """`garbage` may go; `left` stays although no lock names it; `kept` counts named entries."""

    garbage: tuple[Item, ...]
    left: tuple[Item, ...]
    kept: int


def named(locks: Iterable[Lock]) -> Named:
    """Entries and digests of all locks together. Pure."""
    paths: set[str] = set()
    digests: set[str] = set()
    for lock in locks:
        for weights in lock.weights.values():
            paths.add(weights_folder(weights.digest))
            digests |= {file.sha256 for file in weights.files}
            if weights.package is not None:
                digests.add(weights.package.file.sha256)
        for engine in lock.engines.values():
            if (folder := locked_engine_folder(engine)) is not None:
                paths.add(folder)
            if engine.nix is not None:
                paths.add(nix_root(engine.nix.output))
            if engine.package is not None:
                digests.add(engine.package.file.sha256)
            if engine.recipe is not None:
                digests.add(engine.recipe.archive.sha256)
                paths.add(tree_folder(engine.recipe.archive.nar_hash))
    return Named(frozenset(paths), frozenset(digests))


def look(store: Path, names: Named, used: Mapping[str, int]) -> Found:
    """What lies in the store, judged; nothing is changed. `used` as `entries_in_use` has it."""
    garbage: list[Item] = []
    left: list[Item] = []
    kept = 0
    for path, problem, digest in _entries(store):
        if path in names.paths or digest in names.digests:
            kept += 1
        elif problem is not None:
            left.append(Item(path, problem))
        elif path in used:
            left.append(Item(path, f"process {used[path]} uses it"))
        elif (engine := _engine_of(path, used)) is not None:
            left.append(Item(path, f"it belongs to `{engine}`, which a process uses"))
        else:
            garbage.append(Item(path, _UNNAMED, freed_bytes(store / path)))
    for folder in dead(store):
        why = "a process that is dead worked there"
        garbage.append(Item(f"partial/{folder.name}", why, freed_bytes(folder)))
    return Found(tuple(garbage), tuple(left), kept)


def remove(store: Path, garbage: Iterable[Item]) -> tuple[Item, ...]:
    """Take `garbage` away; what could not be removed, and why."""
    garbage, failed = tuple(garbage), []
    if not garbage:
        return ()
    with workplace(store) as work:
        for number, item in enumerate(garbage):
            if item.path.startswith("partial/"):
                continue  # the sweep's
            try:
                _take_out(store / item.path, work.folder / str(number))
            except OSError as error:
                failed.append(Item(item.path, error.strerror or str(error)))
    sweep(store)
    return tuple(failed)


def _take_out(entry: Path, grave: Path) -> None:
    status = entry.lstat()
    if stat.S_ISDIR(status.st_mode):
        if not status.st_mode & stat.S_IWUSR:  # a folder that moves is written: its `..` changes
            entry.chmod(status.st_mode | stat.S_IRWXU)
        entry.rename(grave)
        remove_tree(grave)
    else:
        entry.unlink()


def freed_bytes(path: Path) -> int:
    """Bytes of plain files below `path` that have no other name; links are not followed."""
    total = 0
    for each in (path, *_below(path)):
        try:
            status = each.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            total += status.st_size
    return total


def _below(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        return
    for folder, folders, files in os.walk(path, followlinks=False):
        yield from (Path(folder, name) for name in (*folders, *files))


# what has which form


def _entries(store: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Path, why it is not to be touched (or `None`), and the digest by which locks may know it."""
    kinds = {
        "weights": _judge_weights,
        "engines": _judge_engine,
        "trees": _judge_engine,
        "origins": _judge_origin,
        "downloads": _judge_download,
        "nix-roots": _judge_nix_root,
    }
    for top in _names(store):
        judge = kinds.get(top)
        folder = store / top
        if judge is None:
            if top not in (*_OWN, "partial"):
                yield top, "llmdecl does not know it", None
        elif folder.is_symlink() or not folder.is_dir():
            yield top, "is not a folder, and no link is followed", None
        else:
            for name in _names(folder):
                yield f"{top}/{name}", *judge(folder / name)


def _judge_weights(entry: Path) -> tuple[str | None, str | None]:
    if problem := _no_folder(entry, _DIGEST):
        return problem, None
    for name in _names(entry):
        is_part = name == "model.gguf" or (SPLIT.fullmatch(name) and name.startswith("model-"))
        mode = (entry / name).lstat().st_mode
        if not is_part or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            return f"holds `{name}`, which llmdecl did not put there", None
    return None, None


def _judge_engine(entry: Path) -> tuple[str | None, str | None]:
    return _no_folder(entry, _ENGINE), None


def _judge_origin(entry: Path) -> tuple[str | None, str | None]:
    match = _ORIGIN.fullmatch(entry.name)
    if match is None or entry.is_symlink() or not entry.is_file():
        return "is no list of a wheel's files", None
    return None, match["digest"]


def _judge_download(entry: Path) -> tuple[str | None, str | None]:
    match = _DOWNLOAD.fullmatch(entry.name)
    return _no_folder(entry, _DOWNLOAD), match["digest"] if match else None


def _judge_nix_root(entry: Path) -> tuple[str | None, str | None]:
    if not _NIX_ROOT.fullmatch(entry.name):
        return "has a name that llmdecl does not give", None
    return None if entry.is_symlink() else "is no symbolic link", None


def _no_folder(entry: Path, form: re.Pattern[str]) -> str | None:
    if not form.fullmatch(entry.name):
        return "has a name that llmdecl does not give"
    if entry.is_symlink():
        return "is a symbolic link"
    return None if entry.is_dir() else "is not a folder"


def _engine_of(path: str, used: Collection[str]) -> str | None:
    """The engine in use whose list of files `path` is."""
    match = _ORIGIN.fullmatch(path.removeprefix("origins/"))
    if match is None:
        return None
    return next((each for each in used if each.startswith(f"engines/{match['digest']}-")), None)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return []
