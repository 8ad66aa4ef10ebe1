"""This machine: the only place where hardware probes read files and start programs."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from llmdecl.facts.cache import Cache, identity
from llmdecl.facts.hardware.drivers import drivers
from llmdecl.facts.hardware.probes import FILES, NODES, OF_A_DEVICE, Tool, gpus, wanted
from llmdecl.facts.hardware.reading import ABSENT, Reading, Said
from llmdecl.values import Value

_KEPT_BYTES = 8 << 20
_FILE_BYTES = 1 << 16
_PLACES = (
    "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin:/opt/rocm/bin"
    ":/usr/lib/wsl/lib:/usr/local/cuda/bin"
)
_PASSED = (
    "HOME",
    "LD_LIBRARY_PATH",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_DIRS",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "VK_ADD_DRIVER_FILES",
)
"""Not the variables that hide devices: all are looked at."""


def places() -> str:
    """Where tools are looked for: the user's folders, then those of distributions."""
    return ":".join(filter(None, (os.environ.get("PATH"), _PLACES)))


class _Asked(Value, kw_only=True, frozen=True):
    argv: tuple[str, ...]


class Machine:
    """Files below `root` and, where that is `/`, programs."""

    def __init__(self, root: Path = Path("/"), cache: Path | None = None) -> None:
        self.root = root
        self._kept = Cache(cache, "probe")

    def ask(self, tool: Tool) -> Said:
        """What a tool says, or what it said last time when that holds and went well."""
        program = self._program(tool)
        if program is None:
            return ABSENT
        if not tool.lasting:
            return self.run(tool)
        try:
            key = (_Asked(argv=tool.argv), identity(Path(program)), drivers(self.root))
        except OSError:
            return self.run(tool)
        said = self._kept.get(key, Said)
        if said is None:
            said = self.run(tool)
            if said.ok:
                self._kept.put(key, said)
        return said

    def _program(self, tool: Tool) -> str | None:
        """The file to start; only this machine's own programs are."""
        if self.root != Path("/"):
            return None
        if tool.argv[0] == "{python}":
            return sys.executable
        return shutil.which(tool.argv[0], path=places())

    def files(self, patterns: Iterable[str]) -> dict[str, str | None]:
        """Texts by path; a file that vanishes or has nothing to say is left out."""
        found: dict[str, str | None] = {}
        for pattern in patterns:
            for path in sorted(self.root.glob(pattern.lstrip("/"))):
                name = f"/{path.relative_to(self.root)}"
                try:
                    with path.open("rb") as file:
                        found[name] = file.read(_FILE_BYTES).decode(errors="replace")
                except PermissionError:
                    found[name] = None
                except OSError:
                    continue
        return found

    def paths(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Which files there are."""
        return tuple(
            f"/{path.relative_to(self.root)}"
            for pattern in patterns
            for path in sorted(self.root.glob(pattern.lstrip("/")))
        )

    def nodes(self, patterns: Iterable[str]) -> dict[str, str | None]:
        """Device nodes by path: an empty text for one that this user may open for both."""
        return {
            f"/{path.relative_to(self.root)}": "" if os.access(path, os.R_OK | os.W_OK) else None
            for pattern in patterns
            for path in sorted(self.root.glob(pattern.lstrip("/")))
        }

    def run(self, tool: Tool) -> Said:
        """What a tool says; it gets no input, and its session ends with it or at its limit."""
        program = self._program(tool)
        if program is None:
            return ABSENT
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
        environment |= {"PATH": places(), "LC_ALL": "C.UTF-8"}
        if tool.argv[0] == "{python}":
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    (program, *tool.argv[1:]),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                return Said(text=error.strerror or str(error), status=None, problem="refused")
            status = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(tool.timeout_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if status is None:
                # a program that is stuck in its driver can't be killed, and isn't waited for
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)
            output.seek(0)
            text = output.read(_KEPT_BYTES).decode(errors="replace")
        return Said(text=text, status=status, problem="hangs" if status is None else None)

    def is_own(self, pid: int) -> bool:
        """Whether a process belongs to an llmdecl stack, as its environment says."""
        environment = self.files((f"/proc/{pid}/environ",)).get(f"/proc/{pid}/environ")
        return "LLMDECL_STACK=" in (environment or "")

    def command(self, pid: int) -> str | None:
        """The kernel's short name of a process."""
        return (self.files((f"/proc/{pid}/comm",)).get(f"/proc/{pid}/comm") or "").strip() or None


def read(machine: Machine) -> Reading:
    """All files, then tool after tool as long as what is known asks for one."""
    files = machine.files(FILES) | machine.nodes(NODES)
    reading = Reading(files=files)
    folders = [f"/sys/bus/pci/devices/{address}" for address in gpus(reading)]
    files |= machine.files(f"{folder}/{name}" for folder in folders for name in OF_A_DEVICE)
    reading = reading.replace(files=files)
    while tools := wanted(reading):
        said = {tool.name: machine.ask(tool) for tool in tools}
        reading = reading.replace(tools={**reading.tools, **said})
    return reading
