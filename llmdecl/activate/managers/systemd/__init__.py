"""systemd: units are installed, started and observed; it keeps the processes itself.

What is measured of it stands in `reference/systemd.md`.
"""

from llmdecl.activate.managers.systemd.manager import Systemd
from llmdecl.activate.managers.systemd.place import SYSTEM, user_place
from llmdecl.paths import Folders


def system(folders: Folders) -> Systemd:
    """The system's manager."""
    return Systemd(folders, SYSTEM)


def user(folders: Folders) -> Systemd:
    """This user's manager."""
    return Systemd(folders, user_place())
