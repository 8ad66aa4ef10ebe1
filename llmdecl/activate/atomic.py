"""Writes that are there whole or not at all, also after a power cut."""

import contextlib
import os
from pathlib import Path

from llmdecl.store.durable import sync as sync_folder


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """A new file with `data`, durable; raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """`path` with `data`, by rename: a reader sees the old bytes or the new ones. Raises OSError,
    which names the file, and leaves nothing else there."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        write_new(new, data, mode=mode)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def replace_link(path: Path, to: str) -> None:
    """The symbolic link `path` pointing at `to`, by rename."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.replace(path)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """`path` gone, durably; nothing to do when it is not there."""
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)
