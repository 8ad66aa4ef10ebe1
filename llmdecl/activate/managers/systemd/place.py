"""Where systemd and its helpers look for files of ours."""

import os
from dataclasses import dataclass
from pathlib import Path

RIGHTS = "49-llmdecl.rules"
"""polkit reads rules in the order of their names; the first that answers decides."""

ACCOUNTS = "llmdecl.conf"


@dataclass(frozen=True, slots=True)
class Place:
    """One manager's; `words` make `systemctl` ask it."""

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
