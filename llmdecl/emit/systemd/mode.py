"""Whose manager it is: what differs between the system's and a user's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmdecl.emit.dialects.systemd import escape_path, path_setting
from llmdecl.plan.model import Root


@dataclass(frozen=True, slots=True)
class Mode:
    """`roots` are folders in systemd's words, `settings` is where `router.json` is read from."""

    user: bool
    roots: Mapping[Root, str]
    settings: str
    wanted_by: str


OUR_PROGRAM, STATE, STORE, SPEC = "@LLMDECL@", "@STATE@", "@STORE@", "@SPEC@"
PROXY = "@PROXY@"
"""Stand for the command of llmdecl, folders of the machine, the spec and systemd-socket-proxyd:
whoever installs a unit puts them there. `%S` is no help: it changed its meaning in version 254."""

SYSTEM = Mode(
    user=False,
    roots={Root.STATE: STATE, Root.RUN: "/run/llmdecl", Root.STORE: STORE},
    settings="/etc/llmdecl",
    wanted_by="multi-user.target",
)
USER = Mode(
    user=True,
    roots={Root.STATE: STATE, Root.RUN: "%t/llmdecl", Root.STORE: STORE},
    settings="%h/.config/llmdecl",
    wanted_by="default.target",
)


def with_store(text: str, store: str) -> str:
    """A unit that names the store's folder in commands and in a list of paths."""
    text = text.replace(f"=-{STORE}\n", f"={path_setting(f'-{store}')}\n")
    return text.replace(STORE, escape_path(store))
