"""Which entries of a store processes of this machine use, by Linux's `/proc`."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from llmdecl.store.layout import ENTRY_FOLDERS

PROC = Path("/proc")


def entries_in_use(store: Path, proc: Path = PROC) -> dict[str, int]:
    """Entries (`weights/...`, `engines/...`) by what runs, maps, opens or names them; and a PID.

    Processes of others are seen as far as the kernel shows them; nothing without a `/proc`.
    """
    folders = "|".join(ENTRY_FOLDERS).encode()
    pattern = re.compile(
        rb"(?:^|[^A-Za-z0-9._/-])"
        + re.escape(os.fsencode(store))
        + rb"/((?:%s)/[^/\s\0:;,]+)" % folders
    )
    found: dict[str, int] = {}
    for process in _processes(proc):
        for text in _texts(process):
            for entry in pattern.findall(text):
                found.setdefault(os.fsdecode(entry), int(process.name))
    return found


def _processes(proc: Path) -> Iterator[Path]:
    with suppress(OSError):
        for name in sorted(os.listdir(proc)):  # noqa: PTH208
            if name.isdecimal() and int(name) != os.getpid():
                yield proc / name


def _texts(process: Path) -> Iterator[bytes]:
    for name in ("cmdline", "environ", "maps"):
        with suppress(OSError):
            yield (process / name).read_bytes()
    links = [process / name for name in ("exe", "cwd")]
    with suppress(OSError):
        links += [process / "fd" / name for name in os.listdir(process / "fd")]  # noqa: PTH208
    for link in links:
        with suppress(OSError):
            yield os.fsencode(os.readlink(link))  # noqa: PTH115  # may be no path
