"""Files of ours outside our own folders: units, rights, what the router reads.

The texts come from the wanted generation; what stands there for the machine (`@LLMDECL@`,
`@STATE@`, `@STORE@`) is filled in here.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmdecl.activate.atomic import replace_file
from llmdecl.activate.managers.supervisord import interpreter
from llmdecl.activate.managers.systemd.place import ACCOUNTS, RIGHTS, Place
from llmdecl.emit.dialects.systemd import escape_path
from llmdecl.emit.systemd.mode import OUR_PROGRAM, PROXY, SPEC, STATE, with_store
from llmdecl.paths import Folders

MARK = "# llmdecl: written by `llmdecl apply`, and removed by it\n"
"""The first line of every file of ours outside our own folders: nothing else is ever touched."""

STACK = "# its state is in "
"""Begins the second line of a unit, which says whose it is: there may be other stacks."""

RIGHTS_MARK = MARK.replace("#", "//")
"""The same, as polkit's rules have comments."""

_DIGEST = re.compile(r"printf ([0-9a-f]{64}) > ")


class Files:
    """Of one stack at one manager."""

    def __init__(self, folders: Folders, place: Place) -> None:
        self.place = place
        self._folders = folders
        self._wanted = folders.state / "wanted"
        self._head = f"{MARK}{STACK}{json.dumps(str(folders.state))}\n"

    # what is there

    def owned(self) -> Iterator[Path]:
        """Units that carry our mark, whatever they are called, but for those of another stack."""
        for path in sorted(self.place.units.glob("llmdecl*")):
            if _is_marked(path, MARK) and _stack_of(path) in (None, self._folders.state):
                yield path

    def other_stack(self) -> Path | None:
        """The state folder of another stack whose units are here. One whose folder is gone, or was
        moved, has none any more."""
        marked = (path for path in self.place.units.glob("llmdecl*") if _is_marked(path, MARK))
        states = {state for path in marked if (state := _stack_of(path)) is not None}
        return next(iter(sorted(states - {self._folders.state})), None)

    def foreign(self, artefacts: Iterable[str]) -> Iterator[Path]:
        """Files of others where those of these artefacts would be installed."""
        places = dict(self._places(artefacts))
        for path, mark in places.items():
            if os.path.lexists(path) and not _is_marked(path, mark):
                yield path

    def _places(self, artefacts: Iterable[str]) -> Iterator[tuple[Path, str]]:
        for artefact in artefacts:
            folder, _, name = artefact.partition("/")
            if folder == "systemd":
                yield self.place.units / name, MARK
            elif folder == "sysusers" and self.place.sysusers is not None:
                yield self.place.sysusers / ACCOUNTS, MARK
            elif folder == "polkit" and self.place.polkit is not None:
                yield self.place.polkit / RIGHTS, RIGHTS_MARK

    def installed(self) -> dict[str, str]:
        """Our units' texts by name."""
        return {path.name: path.read_text("utf-8") for path in self.owned()}

    def digest(self, unit: str) -> str | None:
        """Of a unit as it is installed."""
        try:
            return digest_in((self.place.units / unit).read_text("utf-8"))
        except OSError:
            return None

    # what is wanted

    def wanted(self) -> Iterator[tuple[str, str]]:
        """Names and texts of the units of the wanted generation, for this machine."""
        machine = {
            OUR_PROGRAM: f"{escape_path(str(interpreter()))} -m llmdecl",
            STATE: escape_path(str(self._folders.state)),
            PROXY: escape_path(str(proxy_program())),
            SPEC: escape_path(str(self._wanted)),
        }
        for path in sorted((self._wanted / "systemd").iterdir()):
            text = with_store(path.read_text("utf-8"), str(self._folders.store))
            for stand_in, value in machine.items():
                text = text.replace(stand_in, value)
            yield path.name, self._head + text

    def differing(self) -> tuple[str, ...]:
        """What is not installed as it would be now: edited or removed by others, or left by another
        version of llmdecl."""
        if not (self._wanted / "systemd").is_dir():
            return ()
        installed, wanted = self.installed(), dict(self.wanted())
        names = wanted.keys() | installed.keys()
        found = [str(self.place.units / n) for n in names if wanted.get(n) != installed.get(n)]
        found += [str(path) for path, text in self._others() if _text(path) != text]
        return tuple(sorted(found))

    def install(self) -> tuple[dict[str, str], dict[str, str]]:
        """What differs is written, what is ours and no longer wanted is removed; units before and
        now. Killed in between, the next time does the rest."""
        before, wanted = self.installed(), dict(self.wanted())
        for name, text in wanted.items():
            if before.get(name) != text:
                _put(self.place.units / name, text)
        for name in before.keys() - wanted.keys():
            (self.place.units / name).unlink(missing_ok=True)
        for path, other in self._others():
            if other is None:
                path.unlink(missing_ok=True)
            else:
                _put(path, other)
        return before, wanted

    def _others(self) -> Iterator[tuple[Path, str | None]]:
        """The router's rights, and what it reads, since its account may not look into generations;
        `None` for what is not to be there."""
        yield self.place.settings / "router.json", _text(self._wanted / "router.json")
        if self.place.polkit is not None:
            rights = _text(self._wanted / "polkit" / "llmdecl.rules")
            yield self.place.polkit / RIGHTS, None if rights is None else RIGHTS_MARK + rights

    def install_account(self) -> Path | None:
        """The file that names the account, where there is one."""
        if self.place.sysusers is None:
            return None
        text = (self._wanted / "sysusers" / "llmdecl.conf").read_text("utf-8")
        _put(self.place.sysusers / ACCOUNTS, MARK + text)
        return self.place.sysusers / ACCOUNTS

    def remove(self) -> None:
        """All but the account's, which stays."""
        for path in list(self.owned()):
            path.unlink()
        (self.place.settings / "router.json").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not there, or somebody keeps more in it
            self.place.settings.rmdir()
        if self.place.polkit is not None:
            (self.place.polkit / RIGHTS).unlink(missing_ok=True)


def _is_marked(path: Path, mark: str) -> bool:
    return path.is_file() and not path.is_symlink() and _lines(path)[0] == mark


def _stack_of(path: Path) -> Path | None:
    """The state folder of the stack that a unit belongs to, if that is still there."""
    line = _lines(path)[1]
    if not line.startswith(STACK):
        return None
    try:
        state = Path(json.loads(line.removeprefix(STACK)))
    except (ValueError, TypeError):
        return None
    try:
        return state if (state / "generations").is_dir() else None
    except PermissionError:
        return state


def _lines(path: Path) -> tuple[str, str]:
    """The first two."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(), file.readline()


def digest_in(text: str) -> str | None:
    """What a unit says that it was written for."""
    found = _DIGEST.search(text)
    return found[1] if found else None


def proxy_program() -> Path:
    """Where systemd's proxy is: distributions agree on no folder."""
    places = (
        Path("/usr/lib/systemd"),
        Path("/lib/systemd"),
        Path("/run/current-system/sw/lib/systemd"),
    )
    found = (place / "systemd-socket-proxyd" for place in places)
    return next((each for each in found if each.exists()), places[0] / "systemd-socket-proxyd")


def _text(path: Path) -> str | None:
    """`None` where there is no such file, or it can't be read."""
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    if not path.is_file() or path.read_bytes() != data:
        replace_file(path, data)
