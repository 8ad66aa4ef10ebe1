"""Files and names that a power failure does not take back."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and have the disk confirm it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Have the disk confirm a folder's names."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
