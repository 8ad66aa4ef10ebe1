"""What keeps the processes: one file a manager."""

from collections.abc import Callable, Mapping

from llmdecl.activate.managers import supervisord, systemd
from llmdecl.activate.managers.manager import Manager
from llmdecl.paths import Folders

MANAGERS: Mapping[str, Callable[[Folders], Manager]] = {
    "supervisord": supervisord.Supervisord,
    "systemd": systemd.system,
    "systemd-user": systemd.user,
}
"""By the plan's `manager`."""
