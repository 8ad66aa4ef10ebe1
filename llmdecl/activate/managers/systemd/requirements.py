"""What the system's manager needs of a machine before a stack can be installed."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from llmdecl.activate.managers.supervisord import interpreter
from llmdecl.activate.managers.systemd.systemctl import Systemctl
from llmdecl.activate.reach import account, closed_way, require_runnable
from llmdecl.activate.rules import ACCOUNT_UNUSABLE
from llmdecl.diagnostics import Failure
from llmdecl.emit.systemd import names
from llmdecl.paths import SYSTEM as SYSTEMS
from llmdecl.paths import Folders

SYSUSERS = "systemd-sysusers"

SHARES = ("/usr/share", "/usr/local/share", "/run/current-system/sw/share")
POLKIT = "dbus-1/system-services/org.freedesktop.PolicyKit1.service"
RULES = ("/etc/polkit-1/rules.d", "/usr/share/polkit-1/rules.d")
"""polkit before 0.106 reads no rules, and has no such folder."""


def require_system(folders: Folders, *, rights: bool) -> None:
    """A Failure that names what is missing; `rights`: whether the router needs any."""
    if os.geteuid() != 0:
        raise _unusable("only root installs units of the system", "`systemd-user` is your own")
    require_runnable(interpreter())
    require_reachable_folders(folders)
    if shutil.which(SYSUSERS) is None and account()[0] is None:
        raise _unusable(f"there is no account `{names.ACCOUNT}`, and no `{SYSUSERS}` to make it")
    if rights and not any((Path(share) / POLKIT).exists() for share in SHARES):
        summary = "polkit is not installed, so the router could not start a model"
        raise _unusable(summary, "Debian's package is `polkitd`")
    if rights and not any(Path(folder).is_dir() for folder in RULES):
        raise _unusable("polkit is too old for rules, so the router could not start a model")


def require_reachable_folders(folders: Folders) -> None:
    """The state folder itself is opened by its first `apply`, with the way to what it holds."""
    ways = [("state", folders.state.parent)]
    if not folders.store.is_relative_to(folders.state):
        ways.append(("store", folders.store))
    for what, folder in ways:
        if (closed := closed_way(folder)) is not None:
            summary = f"units can't reach the {what} folder"
            options = f"`--state-dir {SYSTEMS[0]} --store-dir {SYSTEMS[1]}`"
            raise _unusable(summary, closed, help=[options])


def require_user(systemctl: Systemctl) -> None:
    """A Failure when this user's manager does not answer."""
    try:
        systemctl("show", "--property=Version")
    except Failure as failure:
        summary = "this user's systemd does not answer"
        notes = [each.summary for each in failure.diagnostics]
        notes.append("it needs a session (or `loginctl enable-linger`) and XDG_RUNTIME_DIR")
        raise _unusable(summary, *notes) from failure


def _unusable(summary: str, *notes: str, help: Iterable[str] = ()) -> Failure:  # noqa: A002
    return Failure(ACCOUNT_UNUSABLE.at("manager.kind", summary, notes=notes, help=help))
