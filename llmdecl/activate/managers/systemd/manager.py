"""Starting and stopping what systemd keeps."""

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from llmdecl.activate.live import MODEL_PROGRAM, ROUTER_PROGRAM, LiveManager
from llmdecl.activate.logs import JournalLog
from llmdecl.activate.managers.manager import Log, Reread
from llmdecl.activate.managers.systemd.files import Files, digest_in
from llmdecl.activate.managers.systemd.place import Place
from llmdecl.activate.managers.systemd.programs import (
    is_program,
    program_of,
    programs_of,
    unit_of,
)
from llmdecl.activate.managers.systemd.requirements import SYSUSERS, require_system, require_user
from llmdecl.activate.managers.systemd.running import ENDED, digest_left, programs
from llmdecl.activate.managers.systemd.systemctl import Systemctl, run
from llmdecl.activate.router_client import log_notes
from llmdecl.activate.rules import (
    ANOTHER_STACK,
    FOREIGN_UNIT,
    MANAGER_START_FAILED,
    PROCESS_STAYS,
    UNQUOTABLE_FOLDER,
)
from llmdecl.diagnostics import Failure
from llmdecl.emit.dialects.systemd import is_whole_value
from llmdecl.emit.systemd import names
from llmdecl.paths import Folders

LAST_WORDS = 8
"""Lines of a unit's that could not be started."""


class Systemd:
    """One manager: the system's, or this user's."""

    def __init__(self, folders: Folders, place: Place) -> None:
        self.folders = folders
        self.place = place
        self.files = Files(folders, place)
        self._systemctl = Systemctl(place.words)

    def observe(self) -> LiveManager | None:
        """Our services; `None` when none of them is installed."""
        found = tuple(programs(self.files, self.folders.run, self._systemctl))
        if not found:
            return None
        return LiveManager(pid=1, programs=found, differing_files=self.files.differing())

    def is_here(self) -> bool:
        """Units of ours."""
        return any(True for _ in self.files.owned())

    def log(self, program: str) -> Log:
        """The journal has it."""
        return JournalLog(unit_of(program), user=bool(self.place.words))

    def require_safe(self) -> None:
        """The units that are here are those of this stack."""
        if (state := self.files.other_stack()) is not None:
            summary = f"systemd keeps the stack of `{state}`, and this is `{self.folders.state}`"
            raise Failure(ANOTHER_STACK.at("manager.kind", summary))

    def require_able(self, artefacts: Iterable[str]) -> None:
        """The system's units are root's to write, and its account has to reach this program."""
        artefacts = tuple(artefacts)
        self.require_safe()
        if not is_whole_value(store := str(self.folders.store)):
            summary = f"the store folder {store!r} is nothing that a line of a unit carries"
            raise Failure(UNQUOTABLE_FOLDER.at("store folder", summary))
        if self.place.words:
            require_user(self._systemctl)
        else:
            require_system(self.folders, rights="polkit/llmdecl.rules" in artefacts)
        for path in self.files.foreign(artefacts):
            masked = path.is_symlink() and str(path.readlink()) == os.devnull
            why = "is masked" if masked else "was not written by `llmdecl apply`"
            raise Failure(FOREIGN_UNIT.at(str(path), f"`{path}` {why}"))

    # the stack as a whole

    def start(self) -> None:
        """Account, rights, units; the target is enabled and on."""
        try:
            self._account()
            self.reread()
        except OSError as error:
            summary = f"`{error.filename}` can't be written: {error.strerror}"
            raise Failure(MANAGER_START_FAILED.at("systemd", summary), status=3) from error
        self._turn_on()

    def _turn_on(self) -> None:
        """Now, and at each boot. An endpoint's socket that can't be had is a reason of its own;
        where the router runs it has them."""
        self._systemctl("enable", "--quiet", "--", names.TARGET)
        units = self._router_units()
        if names.ROUTER in units and self._systemctl.show(names.ROUTER, "MainPID") == "0":
            for socket in units[1:]:
                self._start(socket)
        self._start(names.TARGET)

    def _start(self, unit: str) -> None:
        """`systemctl` itself says no more than that it failed; the journal says why."""
        began = time.time()
        try:
            self._systemctl("start", "--", unit)
        except Failure as failure:
            journal = JournalLog(unit, user=bool(self.place.words), since=began)
            said = log_notes("\n".join(journal.settled_tail(LAST_WORDS)))
            found = (replace(d, notes=(*d.notes, *said)) for d in failure.diagnostics)
            raise Failure(*found, status=failure.status) from failure

    def _account(self) -> None:
        """The account that the units name, and what it must be able to reach."""
        file = self.files.install_account()
        if file is None:
            return
        if shutil.which(SYSUSERS) is not None:  # else the account is there
            run([SYSUSERS, str(file)])
        self.folders.state.chmod(0o711)
        measured = self.folders.state / "measured"
        measured.mkdir(exist_ok=True)
        shutil.chown(measured, names.ACCOUNT, names.ACCOUNT)

    def reread(self) -> Reread:
        """Install what differs, remove what is ours and no longer wanted; one `daemon-reload`.

        No process is touched. A text that differs in other things than what its digest covers is
        installed and changes nothing that runs.
        """
        before, wanted = self.files.install()
        if before != wanted:
            self._systemctl("daemon-reload")
            self._renew(before, wanted)
        changed = {
            name
            for name in wanted.keys() & before.keys()
            if digest_in(wanted[name]) != digest_in(before[name])
        }
        return Reread(
            added=programs_of(wanted.keys() - before.keys()),
            changed=programs_of(name for name in changed | self._old() if name in wanted),
            removed=programs_of(before.keys() - wanted.keys()),
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
        running = digest_left(self.folders.run, names.ROUTER)
        old = running is not None and running != self.files.digest(names.ROUTER)
        return {names.ROUTER} if old else set()

    def shut_down(self, *, timeout_s: float) -> None:
        """Everything of ours ends, and does not come back at the next boot."""
        self._stop_sockets(path.name for path in self.files.owned())
        for path in list(self.files.owned()):
            if is_program(path.name):
                self.stop_program(program_of(path.name), timeout_s=timeout_s)
        self._systemctl("disable", "--quiet", "--now", "--", names.TARGET, check=False)
        self._systemctl("stop", "--", names.SLICE, check=False)

    def tidy(self) -> None:
        """Units and rights are gone; account, state and store stay."""
        gone = [path.name for path in self.files.owned()]
        self.files.remove()
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", "--", *gone, check=False)

    # one program

    def add(self, program: str) -> None:
        """Done by `reread`."""

    def replace(self, program: str) -> None:
        """Done by `reread`."""

    def remove(self, program: str) -> None:
        """Done by `reread`; what failed under the old name is forgotten. A unit that is gone when
        it stops leaves its runtime folder."""
        self._systemctl("reset-failed", "--", unit_of(program), check=False)
        if program.startswith(MODEL_PROGRAM):
            folder = self.folders.run / program.removeprefix(MODEL_PROGRAM)
            shutil.rmtree(folder, ignore_errors=True)

    def start_program(self, program: str) -> None:
        """Nothing to do when it runs. The router is what the target wants: a start that was killed
        may have left it off."""
        if program == ROUTER_PROGRAM:  # one that failed too often fails its sockets, too
            self._systemctl("reset-failed", "--", *self._router_units(), check=False)
            self._turn_on()
        self._start(self._unit(program))

    def _unit(self, program: str) -> str:
        """Of a program; without a router the target stands for it."""
        if program == ROUTER_PROGRAM and not (self.place.units / names.ROUTER).exists():
            return names.TARGET
        return unit_of(program)

    def _router_units(self) -> list[str]:
        """All, where the target stands for it: a model that gave up takes its socket along."""
        owned = [path.name for path in self.files.owned()]
        if names.ROUTER not in owned:
            return owned
        return [names.ROUTER, *(name for name in owned if name.endswith(".socket"))]

    def stop_program(self, program: str, *, timeout_s: float) -> None:
        """Systemd sends KILL after the unit's own limit. A socket may start the unit again at
        once: gone is the process that was there."""
        unit = self._unit(program)
        before = self._systemctl.show(unit, "MainPID")
        self._systemctl("stop", "--no-block", "--", unit, check=False)
        end = time.monotonic() + timeout_s
        while (state := self._systemctl.show(unit, "ActiveState")) not in ENDED:
            if self._systemctl.show(unit, "MainPID") not in ("0", before):
                return
            if time.monotonic() > end:
                summary = f"`{unit}` does not end: it is {state}"
                raise Failure(PROCESS_STAYS.at(program, summary), status=3)
            time.sleep(0.01)
