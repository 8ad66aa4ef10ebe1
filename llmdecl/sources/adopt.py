"""Files that other programs have on this machine already, taken into the store without a copy.

A candidate is found by its digest where a program names files so, else by name and exact size,
and taken only when its SHA-256 is the one that is wanted. The other program's file is never
written, not even its mode.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmdecl.sources.file import Digest
from llmdecl.store.model import LockedFile

FICLONE = 0x40049409
"""ioctl_ficlone(2): the new file shares the old one's blocks until one of them is written."""

_SETTINGS = 1 << 20
"""Characters of another program's settings that are read."""

How = Literal["reflink", "hard link", "symbolic link"]


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a program, and where in it a file would be: paths that may not exist."""

    program: str
    folder: Path
    candidates: Callable[[Path, LockedFile], Iterator[Path]]


def places(
    environment: Mapping[str, str], home: Path, ollama: Sequence[Path] = ()
) -> tuple[Place, ...]:
    """Where files may be, by each program's own rules; `ollama` are its stores."""

    def of(variable: str, default: Path, *below: str) -> Path:
        named = environment.get(variable)
        return Path(named).expanduser().joinpath(*below) if named else default

    cache = of("XDG_CACHE_HOME", home / ".cache")
    # huggingface_hub/constants.py: HF_HUB_CACHE, its older name, HF_HOME/hub
    hub = of("HF_HOME", cache / "huggingface" / "hub", "hub")
    hub = of("HF_HUB_CACHE", of("HUGGINGFACE_HUB_CACHE", hub))
    # llama.cpp common/hf-cache.cpp: a hub's layout; before that, flat files (common/download.cpp)
    llama = of("LLAMA_CACHE", cache / "llama.cpp")
    found = [
        Place("Hugging Face's cache", hub, _in_hub),
        *(Place("LM Studio", folder, _in_repositories) for folder in _lm_studio(home)),
        Place("llama.cpp's cache", llama, _in_llama_cache),
        *(Place("Ollama", folder, _in_ollama) for folder in ollama),
    ]
    return tuple({place.folder: place for place in reversed(found)}.values())[::-1]


def _lm_studio(home: Path) -> Iterator[Path]:
    """Its models, by its home (lmstudio.js' findLMStudioHome.ts) and `downloadsFolder` there."""
    homes = [home / ".lmstudio", home / ".cache" / "lm-studio"]
    if pointed := _folder(_text(home / ".lmstudio-home-pointer").strip()):
        homes.insert(0, pointed)
    for each in homes:
        try:
            folder = json.loads(_text(each / "settings.json")).get("downloadsFolder")
        except (ValueError, RecursionError, AttributeError):
            folder = None
        if named := _folder(folder):
            yield named
        yield each / "models"


def _folder(name: object) -> Path | None:
    """An absolute path, or nothing."""
    if not isinstance(name, str) or not name.startswith("/") or "\0" in name:
        return None
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return None
    return Path(name)


def _text(path: Path) -> str:
    """What a small file of another program says; nothing where it is none."""
    try:
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_SETTINGS)
    except (OSError, ValueError):
        return ""


def _in_ollama(folder: Path, file: LockedFile) -> Iterator[Path]:
    yield folder / "blobs" / f"sha256-{file.sha256}"


def _in_hub(folder: Path, file: LockedFile) -> Iterator[Path]:
    repositories = [path for path in _listed(folder) if path.name.startswith("models--")]
    for repository in repositories:
        yield repository / "blobs" / file.sha256
    for repository in repositories:  # where the cache has no links
        for snapshot in _listed(repository / "snapshots"):
            yield snapshot / (file.path or file.name)


def _in_repositories(folder: Path, file: LockedFile) -> Iterator[Path]:
    for owner in _listed(folder):
        for repository in _listed(owner):
            yield repository / _base(file)


def _in_llama_cache(folder: Path, file: LockedFile) -> Iterator[Path]:
    yield from _in_hub(folder, file)
    name = _base(file)
    for path in _listed(folder):
        if path.name == name or path.name.endswith(f"_{name}"):
            yield path


def _base(file: LockedFile) -> str:
    return (file.path or file.name).rsplit("/", 1)[-1]


def _listed(folder: Path) -> list[Path]:
    """What is in it; nothing where it is none or may not be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Found:
    """A verified file: `path` leads through no link."""

    path: Path
    program: str


def find(file: LockedFile, places: Sequence[Place], digest: Digest, *, store: Path) -> Found | None:
    """The first candidate that is readable, as large as wanted, and has the wanted SHA-256."""
    own = store.resolve()
    seen: set[Path] = set()
    for place in places:
        for candidate in place.candidates(place.folder, file):
            try:
                path = candidate.resolve(strict=True)
                if path in seen or path.is_relative_to(own):
                    continue
                seen.add(path)
                fits = path.is_file() and path.stat().st_size == file.size_bytes
                if fits and digest(path) == file.sha256:
                    return Found(path, place.program)
            except (OSError, RuntimeError):  # gone, not readable, links in a circle
                continue
    return None


def put(path: Path, target: Path) -> How:
    """Have `target`, which does not exist, be that file: no byte is copied; raises OSError."""
    if _reflink(path, target):
        return "reflink"
    try:
        os.link(path, target)
    except OSError:  # another file system, or a file of somebody else
        target.symlink_to(path)
        return "symbolic link"
    return "hard link"


def _reflink(path: Path, target: Path) -> bool:
    with path.open("rb") as source:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.ioctl(handle, FICLONE, source.fileno())
            os.fchmod(handle, 0o444)
            os.fsync(handle)
        except OSError:
            target.unlink()
            return False
        finally:
            os.close(handle)
    return True


def adopt(
    file: LockedFile, target: Path, places: Sequence[Place], digest: Digest, *, store: Path
) -> str | None:
    """Have `target` be `file`, if another program has it here; what was done, in words.

    `target` is a new name in a work place of the `store`; `None` leaves it alone.
    """
    found = find(file, places, digest, store=store)
    if found is None:
        return None
    try:
        before = found.path.stat()
        how = put(found.path, target)
        after = target.stat() if how != "reflink" else found.path.stat()
    except OSError:
        target.unlink(missing_ok=True)
        return None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        target.unlink()  # somebody wrote to it meanwhile
        return None
    return f"{how} to {found.path}, of {found.program}"
