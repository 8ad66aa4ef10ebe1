"""What counts as naming entries of a store: `roots/` has a link to each lock and state folder.

`lock`, `fetch`, `apply` and `rollback` leave them there, because several stacks share a store. A
link to a file is to a lock; a link to a folder is to a state folder, of which each generation's
lock counts.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmdecl.diagnostics import Diagnostic
from llmdecl.store.lock import parse_lock
from llmdecl.store.model import Lock
from llmdecl.store.rules import ROOT_UNREADABLE

FOLDER = "roots"


def register(store: Path, target: Path) -> None:
    """Have what `target` (a lock, or a state folder) names kept; no matter if it is there already.

    Nothing happens in a store that can't be written.
    """
    target = target.absolute()
    kind = "state" if target.is_dir() else "lock"
    digest = hashlib.sha256(os.fsencode(target)).hexdigest()[:32]
    link = store / FOLDER / f"{kind}-{digest}"
    with suppress(OSError):
        if link.is_symlink() and link.readlink() == target:
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)


@dataclass(frozen=True, slots=True)
class Roots:
    """`locks` are what was read, `files` where, `gone` the links that lead nowhere any more.

    `registered`: whether any stack ever used this store with a version that leaves roots.
    """

    locks: tuple[Lock, ...]
    files: tuple[Path, ...]
    gone: tuple[tuple[str, Path], ...]
    registered: bool


def read_roots(store: Path, more: Iterable[Path] = ()) -> tuple[Roots, tuple[Diagnostic, ...]]:
    """Every lock that counts, with `more` state folders; an error for each that can't be read."""
    locks: list[Lock] = []
    files: list[Path] = []
    gone: list[tuple[str, Path]] = []
    problems: list[Diagnostic] = []
    links = tuple(_links(store / FOLDER))
    targets = [(name, target) for name, target in links]
    targets += [("", state) for state in more if state not in {target for _, target in links}]
    for name, target in targets:
        try:
            found = tuple(_locks_of(target))
        except FileNotFoundError:
            if name:
                gone.append((name, target))
            continue
        except OSError as error:
            problems.append(_unreadable(target, error.strerror or str(error)))
            continue
        for path in found:
            try:
                locks.append(parse_lock(path.read_bytes()))
                files.append(path)
            except OSError as error:
                problems.append(_unreadable(path, error.strerror or str(error)))
            except ValueError as error:
                problems.append(_unreadable(path, str(error)))
    return Roots(tuple(locks), tuple(files), tuple(gone), bool(links)), tuple(problems)


def drop(store: Path, names: Iterable[str]) -> None:
    """Take away links that lead nowhere."""
    for name in names:
        (store / FOLDER / name).unlink(missing_ok=True)


def _links(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        return
    for link in sorted(folder.iterdir()):
        if link.is_symlink() and not link.name.startswith("."):
            yield link.name, folder / link.readlink()


def _locks_of(target: Path) -> Iterator[Path]:
    """The lock itself, or the lock of each generation; raises OSError."""
    try:
        is_folder = stat.S_ISDIR(target.stat().st_mode)
    except NotADirectoryError:
        raise FileNotFoundError(errno.ENOENT, "is gone", str(target)) from None
    if not is_folder:
        yield target
        return
    generations = target / "generations"
    names = os.listdir(generations) if os.path.lexists(generations) else []  # noqa: PTH208
    for number in sorted(int(name) for name in names if name.isdecimal()):
        yield generations / str(number) / "lock.json"


def _unreadable(path: Path, why: str) -> Diagnostic:
    summary = f"`{path}` can't be read, so nobody knows what it names: {why}"
    return ROOT_UNREADABLE.at(str(path), summary)
