r"""Recorded machines: `data/hardware/NAME/`, played back as if this were that machine.

`files.txt` has files as `grep -rH ''` prints them (`\0` for a NUL, `grep: PATH: Permission denied`
for what this user may not open); `TOOL.txt` is what a tool said on both outputs and `TOOL.status`
its status, if not 0, or `absent`, `hangs`, `refused`; no file at all is `absent`.
`list-devices.txt` is of the engine, `own-processes` has process numbers of llmdecl's. `ORIGIN`
says where the texts are from.
"""

import fnmatch
import re
from pathlib import Path

from llmdecl.facts.engine_text import parse_devices
from llmdecl.facts.hardware.devices import devices_of
from llmdecl.facts.hardware.machine import Machine, read
from llmdecl.facts.hardware.reading import ABSENT, Said
from llmdecl.facts.model import EngineFacts

DATA = Path(__file__).parent / "data" / "hardware"
_LINE = re.compile(r"((?:/[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|/[^/:]+)+):(.*)")
_DENIED = re.compile(r"grep: (.*): Permission denied")


class Recorded(Machine):
    """A machine out of a folder; `asked` are the tools that were started, in order."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[str] = []
        self._files: dict[str, str | None] = {}
        for line in (folder / "files.txt").read_text().splitlines():
            if match := _DENIED.fullmatch(line):
                self._files[match[1]] = None
            elif match := _LINE.fullmatch(line):
                before = self._files.get(match[1]) or ""
                self._files[match[1]] = before + match[2].replace("\\0", "\0") + "\n"

    def files(self, patterns):
        patterns = tuple(patterns)
        return {
            path: text
            for path, text in self._files.items()
            if any(
                fnmatch.fnmatch(path, pattern) and path.count("/") == pattern.count("/")
                for pattern in patterns
            )
        }

    def nodes(self, patterns):
        return {path: text and text.strip() for path, text in self.files(patterns).items()}

    def ask(self, tool):
        self.asked.append(tool.name)
        text, status = self.root / f"{tool.name}.txt", self.root / f"{tool.name}.status"
        word = status.read_text().strip() if status.exists() else "0" if text.exists() else "absent"
        if word == "absent":
            return ABSENT
        said = text.read_text() if text.exists() else ""
        if word in ("hangs", "refused"):
            return Said(text=said, status=None, problem=word)
        return Said(text=said, status=int(word))

    def is_own(self, pid):
        own = self.root / "own-processes"
        return own.exists() and str(pid) in own.read_text().split()

    def command(self, pid):
        return None


def engine(text: str | None, *backends: str) -> EngineFacts:
    """An engine that lists these devices; None was not asked. No backends: unknown."""
    return EngineFacts(
        kind="llama.cpp",
        provider="path",
        executable="/llama-server",
        binary_sha256="0" * 64,
        version="1",
        build=1,
        commit=None,
        flags=(),
        devices=None if text is None else parse_devices(text),
        backends=backends or None,
    )


def machine(name: str, listed: str | None = "list-devices.txt"):
    """Devices by id, the engine, diagnostics by code, and the machine of a recording."""
    recorded = Recorded(DATA / name)
    lists = DATA / name / (listed or "-")
    engines = {"llama": engine(lists.read_text() if lists.exists() else None)}
    devices, told, said = devices_of(read(recorded), recorded, engines)
    return devices, told["llama"], said, recorded
