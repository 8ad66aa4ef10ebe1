"""What runs, by systemd's word and by what each process left at its start."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from llmdecl.activate.live import MODEL_PROGRAM, LiveProgram
from llmdecl.activate.managers.systemd.files import Files
from llmdecl.activate.managers.systemd.programs import is_program, program_of
from llmdecl.activate.managers.systemd.systemctl import Systemctl
from llmdecl.emit.systemd import names

ENDED = ("inactive", "failed", "unknown", "")
"""States without a process."""

_STATES = {
    "active": "RUNNING",
    "activating": "STARTING",
    "reloading": "RUNNING",
    "deactivating": "STOPPING",
    "failed": "FATAL",
}


def programs(files: Files, run: Path, systemctl: Systemctl) -> Iterator[LiveProgram]:
    """Our services; none when no unit of ours is installed. The target stands for the router where
    there is none."""
    units = _services(path.name for path in files.owned())
    if not units:
        return
    shown = systemctl("show", "--property=Id,ActiveState,MainPID,MemoryCurrent", "--", *units)
    for block in shown.strip().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        unit = values.get("Id", "")
        pid = int(values.get("MainPID") or 0) or None
        yield LiveProgram(
            name=program_of(unit),
            state=_STATES.get(values.get("ActiveState", ""), "STOPPED"),
            pid=pid,
            configured=files.digest(unit),
            running=digest_left(run, unit) if pid else None,
            charged_bytes=_bytes(values.get("MemoryCurrent", "")) if pid else None,
        )


def _bytes(value: str) -> int | None:
    """`[not set]` where the controller is missing; of versions before 252 all bits."""
    return int(value) if value.isdecimal() and int(value) < 1 << 63 else None


def _services(owned: Iterable[str]) -> list[str]:
    units = sorted(owned)
    services = [name for name in units if is_program(name)]
    if names.TARGET in units and names.ROUTER not in units:
        services.append(names.TARGET)
    return services


def digest_left(run: Path, unit: str) -> str | None:
    """What a unit left in its runtime folder at its last start."""
    name = program_of(unit).removeprefix(MODEL_PROGRAM)
    folder = ".router" if unit == names.ROUTER else name
    try:
        return (run / folder / "digest").read_text("ascii")
    except (OSError, ValueError):
        return None
