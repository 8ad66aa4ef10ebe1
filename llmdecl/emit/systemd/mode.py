"""Whose manager it is: what differs between the system's and a user's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmdecl.plan.model import Root


@dataclass(frozen=True, slots=True)
class Mode:
    """`roots` are folders in systemd's words, `settings` is where `router.json` is read from."""

    user: bool
    roots: Mapping[Root, str]
    settings: str
    wanted_by: str


SYSTEM = Mode(
    user=False,
    roots={
        Root.STATE: "/var/lib/llmdecl",
        Root.RUN: "/run/llmdecl",
        Root.STORE: "/var/lib/llmdecl/store",
    },
    settings="/etc/llmdecl",
    wanted_by="multi-user.target",
)
USER = Mode(
    user=True,
    roots={
        Root.STATE: "%h/.local/state/llmdecl",
        Root.RUN: "%t/llmdecl",
        Root.STORE: "%h/.local/share/llmdecl",
    },
    settings="%h/.config/llmdecl",
    wanted_by="default.target",
)
"""platformdirs' folders, which are where a user's stack is by default. `%S` is no help: it changed
its meaning in version 254."""

OUR_PROGRAM = "@LLMDECL@"
"""Stands for the command of llmdecl on the machine: whoever installs a unit puts it there."""
