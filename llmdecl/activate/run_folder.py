"""The folder of a stack's sockets: private, ours, and gone after `down`."""

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from llmdecl.activate.rules import FOREIGN_RUN_FOLDER, UNQUOTABLE_FOLDER
from llmdecl.diagnostics import Diagnostic, Failure

UNQUOTABLE = {
    '"': "a double quote",
    "\\": "a backslash",
    "%": "a percent sign",
    "\n": "a line break",
    "\r": "a line break",
}


def check_quotable(paths: Iterable[tuple[str, Path]]) -> None:
    """A Failure for each `(what, path)` that supervisord's configuration can't carry."""
    found: list[Diagnostic] = []
    for what, path in paths:
        bad = next((name for char, name in UNQUOTABLE.items() if char in str(path)), None)
        if bad is not None:
            found.append(UNQUOTABLE_FOLDER.at(what, f"the {what} {str(path)!r} holds {bad}"))
    if found:
        raise Failure(*found)


def _judge(run: Path) -> str | None:
    """What is wrong with the folder that is there."""
    found = run.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a folder"
    if found.st_uid != os.getuid():
        return f"belongs to user {found.st_uid}"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"lets others in (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _refuse(run: Path) -> None:
    problem = _judge(run)
    if problem is not None:
        raise Failure(FOREIGN_RUN_FOLDER.at(str(run), f"`{run}` {problem}"))


def make(run: Path) -> None:
    """The folder, mode 0700 and ours; a Failure when something else is in its place."""
    try:
        run.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        run.parent.mkdir(parents=True, mode=0o700)
        run.mkdir(mode=0o700)
    _refuse(run)


def refuse_foreign(run: Path) -> None:
    """A Failure when there is a folder that is not ours: nothing in it may be talked to."""
    if os.path.lexists(run):
        _refuse(run)


def remove(run: Path) -> None:
    """The folder and its sockets are gone; a foreign one stays and is a Failure."""
    if os.path.lexists(run):
        _refuse(run)
        shutil.rmtree(run)
