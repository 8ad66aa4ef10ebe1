"""`journal.json`: what an apply, rollback or down is about, while it is under way.

Every step asks the world what is left to do, so the journal holds only what the world forgets: the
goal, and the models that ran before and are to run again.
"""

from pathlib import Path
from typing import Literal

from llmdecl.activate.atomic import remove_file, replace_file
from llmdecl.values import Value, from_json, to_json


class Journal(Value, frozen=True, kw_only=True):
    """`target` and `previous` are generations; `step` is the last one that was done."""

    schema: int = 1
    verb: Literal["apply", "rollback", "down"]
    pid: int
    target: int | None
    previous: int | None
    restart: tuple[str, ...] = ()
    """Models that ran and were stopped by this change, or are about to be."""
    step: str = "begin"


class JournalFile:
    """The file in the state folder. Written only under the apply lock."""

    def __init__(self, state: Path) -> None:
        self.path = state / "journal.json"

    def read(self) -> Journal | None:
        """What was left by a change that did not end; `None` when every one did."""
        try:
            return from_json(self.path.read_bytes(), Journal)
        except FileNotFoundError:
            return None
        except ValueError:  # of another version: that a change was interrupted is all that counts
            return Journal(verb="apply", pid=0, target=None, previous=None, step="unknown")

    def write(self, journal: Journal) -> None:
        """Durable before this returns."""
        replace_file(self.path, to_json(journal))

    def remove(self) -> None:
        """The change is over."""
        remove_file(self.path)
