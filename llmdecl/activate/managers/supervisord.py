"""supervisord: started by us, spoken to by XML-RPC. The quirks behind this are measured in
`reference/engine-and-supervisord.md`."""

import hashlib
import http.client
import os
import re
import subprocess
import sys
import time
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from llmdecl.activate import processes, run_folder
from llmdecl.activate.live import RUNNING_STATES, LiveManager, LiveProgram
from llmdecl.activate.logs import FileLog
from llmdecl.activate.managers.manager import Log, Reread
from llmdecl.activate.managers.rpc import Rpc
from llmdecl.activate.rules import MANAGER_REFUSED, MANAGER_START_FAILED, PROCESS_STAYS
from llmdecl.diagnostics import Failure
from llmdecl.paths import Folders

START_TIMEOUT_S = 30
PASSED_ON = ("PATH", "HOME", "LANG")
"""All that supervisord, and through it the router, gets of the caller's environment."""

WITHOUT_WAITING = False
"""A waited stop takes a second, a waited start nothing: exits are seen through pidfd."""

# supervisor.xmlrpc.Faults
BAD_NAME, NOT_RUNNING, ALREADY_STARTED, ALREADY_ADDED, STILL_RUNNING = 10, 70, 60, 90, 91

_DIGEST = re.compile(r"LLMDECL_DIGEST=([0-9A-Za-z]+)")


def interpreter() -> Path:
    """This interpreter by one name, however it was called."""
    for name in ("python3", "python"):
        candidate = Path(sys.prefix) / "bin" / name
        if candidate.exists():
            return candidate
    return Path(sys.executable)


class Supervisord:
    """One stack's supervisord."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.rpc = Rpc(folders.run / "supervisord.sock")
        self.conf = folders.state / "wanted" / "supervisord" / "supervisord.conf"

    def require_safe(self) -> None:
        """Nothing in a run folder that is somebody else's is talked to."""
        self._require_quotable()
        run_folder.refuse_foreign(self.folders.run)

    def require_able(self, artefacts: Iterable[str]) -> None:  # noqa: ARG002
        """Its configuration can carry the paths of this machine."""
        self._require_quotable()

    def _require_quotable(self) -> None:
        run_folder.check_quotable(
            (
                ("state folder", self.folders.state),
                ("run folder", self.folders.run),
                ("store folder", self.folders.store),
                ("interpreter", interpreter()),
            )
        )

    def environment(self) -> dict[str, str]:
        """What it is started with. A value that changes means that it must be started anew."""
        own = {
            "LLMDECL_STACK": self.folders.stack,
            "LLMDECL_STATE": str(self.folders.state),
            "LLMDECL_RUN": str(self.folders.run),
            "LLMDECL_STORE": str(self.folders.store),
            "LLMDECL_PYTHON": str(interpreter()),
        }
        if self.conf.exists():  # what is read only at its start
            own["LLMDECL_CONFIG"] = hashlib.sha256(self.conf.read_bytes()).hexdigest()
        return own

    def observe(self) -> LiveManager | None:
        """Its programs, with the digests they are configured and running with."""
        try:
            pid = int(self.rpc.call("getPID"))
            infos = self.rpc.call("getAllProcessInfo")
            configs = self.rpc.call("getAllConfigInfo")
        except (
            OSError,
            http.client.HTTPException,
            xmlrpc.client.Error,
            xml.parsers.expat.ExpatError,
        ):
            return None
        commands = {c["name"]: str(c["command"]) for c in configs}
        was, now = processes.environment(pid), self.environment()
        return LiveManager(
            pid=pid,
            programs=tuple(_program(info, commands) for info in infos),
            differs=tuple(key for key, value in now.items() if was.get(key) != value),
        )

    def start(self) -> None:
        """As a daemon of its own session; its socket is bound when the command returns."""
        run_folder.make(self.folders.run)
        self._require_quotable()
        logs = self.folders.state / "logs"
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        command = [str(interpreter()), "-m", "supervisor.supervisord", "-c", str(self.conf)]
        passed = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        try:
            done = subprocess.run(
                command,
                env=passed | self.environment(),
                cwd=self.folders.state,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=START_TIMEOUT_S,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise _not_started(error.output) from error
        if done.returncode != 0:
            raise _not_started(done.stdout)
        self._await_socket(done.stdout)

    def _await_socket(self, said: bytes) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.observe() is None:
            if time.monotonic() > deadline:
                raise _not_started(said)
            time.sleep(0.02)

    def reread(self) -> Reread:
        """`reloadConfig`: touches no process."""
        added, changed, removed = self._call("reloadConfig")[0]
        return Reread(tuple(added), tuple(changed), tuple(removed))

    def add(self, program: str) -> None:
        """Nothing to do when it is there."""
        self._call("addProcessGroup", program, ignore=ALREADY_ADDED)

    def remove(self, program: str) -> None:
        """Waits out that supervisord notices an exit up to a second late."""
        deadline = time.monotonic() + 10
        while True:
            try:
                self.rpc.call("removeProcessGroup", program)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode == BAD_NAME:
                    return
                if fault.faultCode != STILL_RUNNING or time.monotonic() > deadline:
                    raise _refused("removeProcessGroup", fault) from fault
            except (OSError, http.client.HTTPException) as error:
                raise _refused("removeProcessGroup", error) from error
            else:
                return
            time.sleep(0.02)

    def replace(self, program: str) -> None:
        """Forget, then take anew; killed in between, the next `reread` says that it is new."""
        self.remove(program)
        self.add(program)

    def start_program(self, program: str) -> None:
        """Only once its last process is known to be gone: a start while STOPPING starts nothing."""
        deadline = time.monotonic() + 10
        while self._info(program)["statename"] == "STOPPING" and time.monotonic() < deadline:
            time.sleep(0.02)
        self._call("startProcess", program, WITHOUT_WAITING, ignore=ALREADY_STARTED)

    def stop_program(self, program: str, *, timeout_s: float) -> None:
        """SIGTERM by supervisord, which sends SIGKILL after the program's `stopwaitsecs`."""
        info = self._info(program)
        if info["statename"] not in RUNNING_STATES:
            return
        process = processes.look(int(info["pid"])) if info["pid"] else None
        self._call("stopProcess", program, WITHOUT_WAITING, ignore=NOT_RUNNING)
        deadline = time.monotonic() + timeout_s
        gone = process is None or processes.wait_gone(process, timeout_s)
        while gone and self._info(program)["statename"] in RUNNING_STATES:
            gone = time.monotonic() < deadline
            time.sleep(0.005)
        if not gone:
            summary = f"`{program}` does not end (PID {info['pid']})"
            raise Failure(PROCESS_STAYS.at(program, summary), status=3)

    def shut_down(self, *, timeout_s: float) -> None:
        """All programs get SIGTERM, then supervisord goes."""
        try:
            pid = int(self.rpc.call("getPID"))
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return
        process = processes.look(pid)
        self._call("shutdown")
        if process is not None and not processes.wait_gone(process, timeout_s):
            raise Failure(
                PROCESS_STAYS.at("supervisord", f"supervisord does not end (PID {pid})"), status=3
            )

    def tidy(self) -> None:
        """The run folder with all sockets."""
        run_folder.remove(self.folders.run)

    def is_here(self) -> bool:
        """Processes with our mark, or the run folder."""
        return bool(processes.marked(self.folders.stack)) or self.folders.run.exists()

    def log(self, program: str) -> Log:
        """It writes one file a program."""
        return FileLog(self.folders.state / "logs" / f"{program}.log")

    def _info(self, program: str) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self._call("getProcessInfo", program)
        return info

    def _call(self, method: str, *arguments: str | bool, ignore: int | None = None) -> Any:
        try:
            return self.rpc.call(method, *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == ignore:
                return None
            raise _refused(method, fault) from fault
        except (OSError, http.client.HTTPException, xml.parsers.expat.ExpatError) as error:
            raise _refused(method, error) from error


def _program(info: Mapping[str, Any], commands: Mapping[str, str]) -> LiveProgram:
    name, pid = str(info["name"]), int(info["pid"])
    configured = _DIGEST.search(commands.get(name, ""))
    alive = pid > 0 and processes.look(pid) is not None
    return LiveProgram(
        name=name,
        state=str(info["statename"]),
        pid=pid if alive else None,
        configured=configured[1] if configured else None,
        running=processes.environment(pid).get("LLMDECL_DIGEST") if alive else None,
    )


def _refused(method: str, error: Exception) -> Failure:
    words = error.faultString if isinstance(error, xmlrpc.client.Fault) else str(error)
    return Failure(
        MANAGER_REFUSED.at(
            "supervisord", f"supervisord refuses `{method}`: {words or type(error).__name__}"
        ),
        status=3,
    )


def _not_started(said: bytes | None) -> Failure:
    lines = (said or b"").decode(errors="replace").strip().splitlines()
    return Failure(
        MANAGER_START_FAILED.at("supervisord", "supervisord did not start", notes=lines[-8:]),
        status=3,
    )
