"""llama.cpp's tree out of an archive or a folder: found, unpacked, and never a link out of it."""

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from llmdecl.diagnostics import Failure
from llmdecl.sources.pip import Stopped
from llmdecl.sources.trees.archive import CHUNK, MAX_BYTES, Member, Unsafe, opened
from llmdecl.sources.trees.rules import ARCHIVE_UNSAFE, TREE_MISSING
from llmdecl.units import format_bytes

_PROJECT = re.compile(rb"^[ \t]*project[ \t]*\([ \t]*\"?llama\.cpp\"?[\s)]", re.MULTILINE)
_HEAD = re.compile(r"(?:(?P<top>.*)/)?\.git/(?:modules/(?P<module>.+)/)?HEAD")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CMAKE_BYTES = 1 << 20
_HEAD_BYTES = 1 << 10


CalledOff = Callable[[], bool]
"""Whether somebody wants to end: then Stopped is raised before the next member."""


def _never() -> bool:
    return False


def _until(called_off: CalledOff, members: Iterator[Member]) -> Iterator[Member]:
    for member in members:
        if called_off():
            raise Stopped
        yield member


@dataclass(frozen=True, slots=True)
class Found:
    """`root` is the folder that holds llama.cpp's CMakeLists.txt, without a slash; `""` is all."""

    root: str
    commit: str | None


@dataclass(slots=True)
class _Seen:
    roots: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    """Commits that are checked out, by folder."""

    def take(self, path: str, size_bytes: int, read: Iterator[bytes]) -> None:
        pure = PurePosixPath(path)
        if pure.name == "CMakeLists.txt" and size_bytes <= _CMAKE_BYTES:
            if _PROJECT.search(next(read)):
                self.roots.append(str(pure.parent) if str(pure.parent) != "." else "")
        elif pure.name == "HEAD" and size_bytes <= _HEAD_BYTES:
            text, head = next(read).decode("ascii", "replace").strip(), _HEAD.fullmatch(path)
            if head is not None and _COMMIT.fullmatch(text):
                self.heads["/".join(part for part in (head["top"], head["module"]) if part)] = text

    def found(self, name: str, address: str, commit: str | None) -> Found:
        least = min((root.count("/") + bool(root) for root in self.roots), default=0)
        nearest = sorted(r for r in self.roots if r.count("/") + bool(r) == least)
        if not nearest:
            raise Failure(TREE_MISSING.at(address, f"`{name}` holds no source tree of llama.cpp"))
        if len(nearest) > 1:
            summary = f"`{name}` holds {len(nearest)} source trees of llama.cpp"
            raise Failure(TREE_MISSING.at(address, summary, notes=nearest))
        root = nearest[0]
        # what `git archive` writes is the commit of the whole: only where llama.cpp is the whole
        return Found(root, self.heads.get(root) or (commit if "/" not in root else None))


def look(archive: Path, address: str, called_off: CalledOff = _never) -> Found:
    """Where llama.cpp is in an archive; a Failure when it is nowhere, or unsafe to look."""
    seen = _Seen()
    with opened(archive, address) as packed:
        for member in _until(called_off, packed.members):
            if not member.is_folder and member.target is None:
                seen.take(member.path, member.size_bytes, _whole(member))
        commit = packed.commit
    return seen.found(archive.name, address, commit)


def _whole(member: Member) -> Iterator[bytes]:
    with member.read() as file:
        yield file.read(_CMAKE_BYTES)


def unpack(
    archive: Path, root: str, into: Path, address: str, called_off: CalledOff = _never
) -> None:
    """What is below `root` of an archive into the new folder `into`, without `.git`."""
    tree = _Tree(into)
    inside = f"{root}/" if root else ""
    with opened(archive, address) as packed:
        for member in _until(called_off, packed.members):
            path = member.path.removeprefix(inside)
            if not member.path.startswith(inside) or path.split("/")[0] == ".git":
                continue
            if member.is_folder:
                tree.folder(path)
            elif member.target is not None:
                tree.link(path, member.target)
            else:
                with member.read() as file, tree.file(path, executable=member.executable) as out:
                    shutil.copyfileobj(file, out, CHUNK)
        tree.check()


def copy_folder(folder: Path, into: Path, address: str) -> Found:
    """The same for a folder of this machine: all that is in it but `.git`."""
    seen = _Seen()
    cmake = folder / "CMakeLists.txt"
    if cmake.is_file():
        seen.take("CMakeLists.txt", 0, iter((cmake.read_bytes(),)))
    found = seen.found(folder.name, address, _head_of(folder))
    try:
        _copy(folder, _Tree(into))
    except Unsafe as error:
        raise Failure(ARCHIVE_UNSAFE.at(address, f"`{folder}` can't be taken: {error}")) from None
    return found


def _copy(folder: Path, tree: "_Tree") -> None:
    total = 0
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            tree.folder(name)
        elif stat.S_ISLNK(mode):
            tree.link(name, str(path.readlink()))
        elif stat.S_ISREG(mode):
            total += path.stat().st_size
            if total > MAX_BYTES:
                raise Unsafe(f"it holds more than {format_bytes(MAX_BYTES)}")
            executable = bool(mode & stat.S_IXUSR)
            with path.open("rb") as file, tree.file(name, executable=executable) as out:
                shutil.copyfileobj(file, out, CHUNK)
        else:
            raise Unsafe(f"`{name}` is neither file nor folder nor symbolic link")
    tree.check()


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name != ".git" or path.parent != folder:
            yield from _below(path)


def _below(top: Path) -> Iterator[Path]:
    todo = [top]
    while todo:
        path = todo.pop()
        yield path
        if path.is_dir() and not path.is_symlink():
            todo += sorted(path.iterdir(), reverse=True)


def _head_of(folder: Path) -> str | None:
    """The commit that is checked out, by plain files of a repository, or `None`."""
    try:
        git = folder / ".git"
        if git.is_file():
            git = folder / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _ref(git, head.removeprefix("ref: "))
    except (OSError, ValueError):
        return None
    return head if _COMMIT.fullmatch(head) else None


def _ref(git: Path, name: str) -> str:
    """What a branch is at: a file of its own, or a line of `packed-refs` (gitrepository-layout(5)).

    A work tree beside the first one has its branches where `commondir` says.
    """
    common = git / "commondir"
    if common.is_file():
        git = git / common.read_text().strip()
    if (git / name).is_file():
        return (git / name).read_text().strip()
    lines = (git / "packed-refs").read_text().splitlines()
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {name}")), "")


class _Tree:
    """Writes below a new folder: nothing twice, nothing through a link, read-only files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._links: set[str] = set()

    def _place(self, path: str) -> Path:
        parts = path.split("/")
        through = next(
            (name for n in range(1, len(parts)) if (name := "/".join(parts[:n])) in self._links),
            None,
        )
        if through is not None:
            raise Unsafe(f"member {path[:200]!r} lies behind the link `{through}`")
        return self._folder / path

    def folder(self, path: str) -> None:
        place = self._place(path)
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise Unsafe(f"member {path[:200]!r} is there twice")
        self._made(place)

    def _made(self, place: Path) -> None:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise Unsafe(f"a member lies below {place.name!r}, which is a file") from None

    def file(self, path: str, *, executable: bool) -> BinaryIO:
        place = self._place(path)
        self._made(place.parent)
        if place.is_symlink() or place.exists():
            raise Unsafe(f"member {path[:200]!r} is there twice")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place, flags, 0o600)
        os.fchmod(descriptor, 0o555 if executable else 0o444)
        return os.fdopen(descriptor, "wb")

    def link(self, path: str, target: str) -> None:
        place = self._place(path)
        within = os.path.normpath(f"{path.rpartition('/')[0]}/./{target}".lstrip("/"))
        if target.startswith("/") or within.split("/")[0] == ".." or "\0" in target:
            raise Unsafe(f"link {path[:200]!r} leads out of the tree")
        self._made(place.parent)
        if place.is_symlink() or place.exists():
            raise Unsafe(f"member {path[:200]!r} is there twice")
        place.symlink_to(target)
        self._links.add(path)

    def check(self) -> None:
        """Links through other links may lead out though each alone does not."""
        whole = os.path.realpath(self._folder)
        for path in sorted(self._links):
            real = os.path.realpath(self._folder / path)
            if real != whole and not real.startswith(f"{whole}/"):
                raise Unsafe(f"link {path[:200]!r} leads out of the tree")
