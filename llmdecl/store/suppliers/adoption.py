"""Before bytes come over the network: whether another program has the file here."""

import os
from pathlib import Path

from llmdecl.sources.adopt import adopt as adopt_from
from llmdecl.sources.adopt import places
from llmdecl.sources.ollama.local import folders
from llmdecl.store.model import LockedFile
from llmdecl.store.suppliers.supplier import Room


def adopt(room: Room, file: LockedFile, target: Path) -> str | None:
    """Have `target` be `file` without a copy, if it is on this machine; a note about it.

    To be called before a download, for each file, with `target` a new name in a work place of the
    store (`work.folder / ... / weights_name(part, parts)`). `None`: nothing was found, `target` is
    not there, download it. Else the file is verified and the note is for `progress.done`.
    With `sources.adopt = false` nothing is looked for.
    """
    if room.sources.adopt is False:
        return None
    ollama = room.sources.ollama
    stores = folders(ollama.models_dir if ollama else None, os.environ, Path.home())
    found = places(os.environ, Path.home(), stores)
    return adopt_from(file, target, found, room.tools.digest, store=room.store.folder)
