"""systemd: units are installed, started and observed; it keeps the processes itself.

What is measured of it stands in `reference/systemd.md`. The texts of units come from the wanted
generation; what stands there for the machine (`@LLMDECL@`, `@STATE@`, `@STORE@`) is filled in here.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.activate.atomic import replace_file
from llmdecl.activate.live import MODEL_PROGRAM, ROUTER_PROGRAM, LiveManager, LiveProgram
from llmdecl.activate.logs import JournalLog
from llmdecl.activate.managers.manager import Log, Reread
from llmdecl.activate.managers.supervisord import interpreter
from llmdecl.activate.reach import account, closed_to
from llmdecl.activate.rules import (
    ACCOUNT_UNUSABLE,
    MANAGER_REFUSED,
    MANAGER_START_FAILED,
    PROCESS_STAYS,
)
from llmdecl.diagnostics import Failure
from llmdecl.emit.dialects.systemd import escape_path
from llmdecl.emit.systemd import names
from llmdecl.emit.systemd.mode import OUR_PROGRAM, PROXY, SPEC, STATE, STORE
from llmdecl.paths import Folders

TIMEOUT_S = 30.0
MARK = "# llmdecl: written by `llmdecl apply`, and removed by it\n"
"""The first line of every file of ours outside our own folders: nothing else is ever touched."""

RIGHTS = "49-llmdecl.rules"
"""polkit reads rules in the order of their names; the first that answers decides."""

_DIGEST = re.compile(r"printf ([0-9a-f]{64}) > ")

ENDED = ("inactive", "failed", "unknown", "")
"""States without a process."""

_STATES = {
    "active": "RUNNING",
    "activating": "STARTING",
    "reloading": "RUNNING",
    "deactivating": "STOPPING",
    "failed": "FATAL",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where systemd and its helpers look; `words` make `systemctl` ask the right manager."""

    units: Path
    settings: Path
    words: tuple[str, ...]
    sysusers: Path | None = None
    polkit: Path | None = None


SYSTEM = Place(
    units=Path("/etc/systemd/system"),
    settings=Path("/etc/llmdecl"),
    words=(),
    sysusers=Path("/etc/sysusers.d"),
    polkit=Path("/etc/polkit-1/rules.d"),
)


def user_place() -> Place:
    """A user's own."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Place(units=home / "systemd/user", settings=home / "llmdecl", words=("--user",))


class Systemd:
    """One manager: the system's, or this user's."""

    def __init__(self, folders: Folders, place: Place) -> None:
        self.folders = folders
        self.place = place
        self.wanted = folders.state / "wanted"

    # what is there

    def observe(self) -> LiveManager | None:
        """Our services; `None` when none of them is installed."""
        programs = tuple(self._programs())
        return LiveManager(pid=1, programs=programs) if programs else None

    def _programs(self) -> Iterator[LiveProgram]:
        owned = sorted(path.name for path in self._owned())
        units = [name for name in owned if is_program(name)]
        if names.TARGET in owned and names.ROUTER not in owned:
            units.append(names.TARGET)  # stands for the router where there is none
        if not units:
            return
        shown = self._systemctl("show", "--property=Id,ActiveState,MainPID", "--", *units)
        for block in shown.strip().split("\n\n"):
            values = dict(line.partition("=")[::2] for line in block.splitlines())
            unit = values.get("Id", "")
            pid = int(values.get("MainPID") or 0) or None
            yield LiveProgram(
                name=program_of(unit),
                state=_STATES.get(values.get("ActiveState", ""), "STOPPED"),
                pid=pid,
                configured=_digest(self._installed(unit)),
                running=self._running_digest(unit) if pid else None,
            )

    def _installed(self, unit: str) -> str:
        try:
            return (self.place.units / unit).read_text("utf-8")
        except OSError:
            return ""

    def _running_digest(self, unit: str) -> str | None:
        name = program_of(unit).removeprefix(MODEL_PROGRAM)
        folder = ".router" if unit == names.ROUTER else name
        try:
            return (self.folders.run / folder / "digest").read_text("ascii")
        except (OSError, ValueError):
            return None

    def _owned(self) -> Iterator[Path]:
        """Units that carry our mark, whatever they are called."""
        for path in sorted(self.place.units.glob("llmdecl*")):
            if path.is_file() and not path.is_symlink():
                with path.open(encoding="utf-8", errors="replace") as file:
                    if file.readline() == MARK:
                        yield path

    # changing it

    def require_safe(self) -> None:
        """Systemd itself says whose unit is whose."""

    def require_able(self) -> None:
        """The system's units are root's to write, and its account has to reach this program."""
        if not self.place.words and os.geteuid() != 0:
            summary = "only root installs units of the system"
            raise Failure(
                ACCOUNT_UNUSABLE.at("manager.kind", summary, notes=["`systemd-user` is your own"])
            )
        if self.place.words:
            return
        if (closed := closed_to(interpreter(), *account())) is not None:
            summary = f"the account `{names.ACCOUNT}` can't run `{interpreter()}`"
            note = f"`{closed}` lets nobody else in; install llmdecl outside of homes"
            raise Failure(ACCOUNT_UNUSABLE.at("manager.kind", summary, notes=[note]))

    def start(self) -> None:
        """Account, rights, units; the target is enabled and on."""
        self.require_able()
        try:
            self._account()
            self.reread()
        except OSError as error:
            summary = f"`{error.filename}` can't be written: {error.strerror}"
            raise Failure(MANAGER_START_FAILED.at("systemd", summary), status=3) from error
        self._systemctl("enable", "--quiet", "--", names.TARGET)
        self._systemctl("start", "--", names.TARGET)

    def _account(self) -> None:
        """The account that the units name, and what it must be able to reach."""
        if self.place.sysusers is None:
            return
        text = (self.wanted / "sysusers" / "llmdecl.conf").read_text("utf-8")
        _put(self.place.sysusers / "llmdecl.conf", MARK + text)
        tool = shutil.which("systemd-sysusers")
        if tool is None:
            summary = "`systemd-sysusers` is not installed, so the account can't be made"
            raise Failure(ACCOUNT_UNUSABLE.at("systemd", summary), status=3)
        self._run([tool, str(self.place.sysusers / "llmdecl.conf")])
        self.folders.state.chmod(0o711)
        measured = self.folders.state / "measured"
        measured.mkdir(exist_ok=True)
        shutil.chown(measured, names.ACCOUNT, names.ACCOUNT)

    def reread(self) -> Reread:
        """Install what differs, remove what is ours and no longer wanted; one `daemon-reload`.

        No process is touched. A text that differs in other things than what its digest covers is
        installed and changes nothing that runs. Killed in between, the next time does the rest.
        """
        wanted = dict(self._wanted())
        before = {path.name: path.read_text("utf-8") for path in self._owned()}
        for name, text in wanted.items():
            if before.get(name) != text:
                _put(self.place.units / name, text)
        for name in before.keys() - wanted.keys():
            (self.place.units / name).unlink(missing_ok=True)
        self._rights()
        self._settings()
        if before != wanted:
            self._systemctl("daemon-reload")
            self._renew(before, wanted)
        changed = {
            name
            for name in wanted.keys() & before.keys()
            if _digest(wanted[name]) != _digest(before[name])
        }
        return Reread(
            added=_services(wanted.keys() - before.keys()),
            changed=_services(name for name in changed | self._old() if name in wanted),
            removed=_services(before.keys() - wanted.keys()),
        )

    def _renew(self, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Sockets and proxies as they are now. A model's socket can't be started beside its proxy,
        and nothing but the target starts it."""
        other = [name for name in before if before[name] != wanted.get(name)]
        models = [model for name in other if (model := names.model_of_socket(name)) is not None]
        stopped = [names.proxy_of(model) for model in models]
        gone = [name for name in other if name not in wanted and names.is_proxy(name)]
        self._stop_sockets(other)
        if stopped or gone:
            self._systemctl("stop", "--", *stopped, *gone, check=False)
        proxies = [name for name in other if names.is_proxy(name) and name in wanted]
        if proxies := [name for name in proxies if name not in stopped]:
            self._systemctl("try-restart", "--", *proxies, check=False)
        if fresh := [name for name in wanted if names.model_of_socket(name) is not None]:
            self._systemctl("start", "--", *fresh)

    def _stop_sockets(self, units: Iterable[str]) -> None:
        """A socket takes another address when it is started anew, which the router's start does;
        until then the router that runs has it open."""
        if sockets := sorted(unit for unit in units if unit.endswith(".socket")):
            self._systemctl("stop", "--", *sockets, check=False)

    def _old(self) -> set[str]:
        """The router's unit when the one that runs was started from another text of it."""
        running = self._running_digest(names.ROUTER)
        old = running is not None and running != _digest(self._installed(names.ROUTER))
        return {names.ROUTER} if old else set()

    def _wanted(self) -> Iterator[tuple[str, str]]:
        machine = {
            OUR_PROGRAM: f"{escape_path(str(interpreter()))} -m llmdecl",
            STATE: escape_path(str(self.folders.state)),
            STORE: escape_path(str(self.folders.store)),
            PROXY: escape_path(str(proxy_program())),
            SPEC: escape_path(str(self.wanted)),
        }
        for path in sorted((self.wanted / "systemd").iterdir()):
            text = path.read_text("utf-8")
            for stand_in, value in machine.items():
                text = text.replace(stand_in, value)
            yield path.name, MARK + text

    def _rights(self) -> None:
        if self.place.polkit is None:
            return
        if not (self.wanted / "polkit").exists():
            (self.place.polkit / RIGHTS).unlink(missing_ok=True)
            return
        mark = MARK.replace("#", "//")
        text = (self.wanted / "polkit" / "llmdecl.rules").read_text("utf-8")
        _put(self.place.polkit / RIGHTS, mark + text)

    def _settings(self) -> None:
        """What the router reads: its account may not look into generations."""
        if (wanted := self.wanted / "router.json").exists():
            _put(self.place.settings / "router.json", wanted.read_text("utf-8"))
        else:
            (self.place.settings / "router.json").unlink(missing_ok=True)

    def add(self, program: str) -> None:
        """Done by `reread`."""

    def replace(self, program: str) -> None:
        """Done by `reread`."""

    def remove(self, program: str) -> None:
        """Done by `reread`; what failed under the old name is forgotten."""
        self._systemctl("reset-failed", "--", unit_of(program), check=False)

    def start_program(self, program: str) -> None:
        """Nothing to do when it runs."""
        if program == ROUTER_PROGRAM:  # a router that failed too often fails its sockets, too
            self._systemctl("reset-failed", "--", *self._router_units(), check=False)
        self._systemctl("start", "--", self._unit(program))

    def _unit(self, program: str) -> str:
        """Of a program; without a router the target stands for it."""
        if program == ROUTER_PROGRAM and not (self.place.units / names.ROUTER).exists():
            return names.TARGET
        return unit_of(program)

    def _router_units(self) -> list[str]:
        sockets = [path.name for path in self._owned() if path.suffix == ".socket"]
        return [names.ROUTER, *sockets]

    def stop_program(self, program: str, *, timeout_s: float) -> None:
        """Systemd sends KILL after the unit's own limit. A socket may start the unit again at
        once: gone is the process that was there."""
        unit = self._unit(program)
        before = self._show(unit, "MainPID")
        self._systemctl("stop", "--no-block", "--", unit, check=False)
        end = time.monotonic() + timeout_s
        while (state := self._show(unit, "ActiveState")) not in ENDED:
            if self._show(unit, "MainPID") not in ("0", before):
                return
            if time.monotonic() > end:
                summary = f"`{unit}` does not end: it is {state}"
                raise Failure(PROCESS_STAYS.at(program, summary), status=3)
            time.sleep(0.01)

    def shut_down(self, *, timeout_s: float) -> None:
        """Everything of ours ends, and does not come back at the next boot."""
        self._stop_sockets(path.name for path in self._owned())
        for path in list(self._owned()):
            if is_program(path.name):
                self.stop_program(program_of(path.name), timeout_s=timeout_s)
        self._systemctl("disable", "--quiet", "--now", "--", names.TARGET, check=False)

    def tidy(self) -> None:
        """Units and rights are gone; account, state and store stay."""
        for path in list(self._owned()):
            path.unlink()
        (self.place.settings / "router.json").unlink(missing_ok=True)
        if self.place.polkit is not None:
            (self.place.polkit / RIGHTS).unlink(missing_ok=True)
        self._systemctl("daemon-reload")

    def is_here(self) -> bool:
        """Units of ours."""
        return any(True for _ in self._owned())

    def log(self, program: str) -> Log:
        """The journal has it."""
        return JournalLog(unit_of(program), user=bool(self.place.words))

    def _show(self, unit: str, name: str) -> str:
        return self._systemctl("show", f"--property={name}", "--value", "--", unit).strip()

    def _systemctl(self, *words: str, check: bool = True) -> str:
        return self._run(["systemctl", *self.place.words, *words], check=check)

    def _run(self, words: list[str], *, check: bool = True) -> str:
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refused(words, str(error)) from error
        if check and done.returncode:
            raise _refused(words, done.stdout.strip())
        return done.stdout


def system(folders: Folders) -> Systemd:
    """The system's manager."""
    return Systemd(folders, SYSTEM)


def user(folders: Folders) -> Systemd:
    """This user's manager."""
    return Systemd(folders, user_place())


def unit_of(program: str) -> str:
    """The service of a program as plans and the router call it."""
    return f"llmdecl-{program}.service"


def program_of(unit: str) -> str:
    """The inverse."""
    if unit == names.TARGET:
        return ROUTER_PROGRAM
    return unit.removeprefix("llmdecl-").removesuffix(".service")


def is_program(unit: str) -> bool:
    """Whether plans and the router know the unit: the others are systemd's own business."""
    return unit == names.ROUTER or names.is_model(unit)


def proxy_program() -> Path:
    """Where systemd's proxy is: distributions agree on no folder."""
    places = (
        Path("/usr/lib/systemd"),
        Path("/lib/systemd"),
        Path("/run/current-system/sw/lib/systemd"),
    )
    found = (place / "systemd-socket-proxyd" for place in places)
    return next((each for each in found if each.exists()), places[0] / "systemd-socket-proxyd")


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    if not path.is_file() or path.read_bytes() != data:
        replace_file(path, data)


def _services(units: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(program_of(unit) for unit in units if is_program(unit)))


def _digest(text: str) -> str | None:
    found = _DIGEST.search(text)
    return found[1] if found else None


def _refused(words: list[str], said: str) -> Failure:
    lines = said.splitlines()
    summary = f"`{' '.join(words[:3])}` failed: {lines[0] if lines else 'it says nothing'}"
    return Failure(MANAGER_REFUSED.at("systemd", summary, notes=lines[1:6]), status=3)
