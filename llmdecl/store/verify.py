"""Reading a whole store again, to see whether every entry holds what its name says."""

from collections.abc import Iterator
from pathlib import Path

from llmdecl.sources.file import Digest
from llmdecl.store.built import built_problem
from llmdecl.store.layout import tree_folder, weights_digest
from llmdecl.store.model import LockedFile, LockedPackage
from llmdecl.store.nar import nar_hash
from llmdecl.store.store import Store, read_digest


def verify(store: Store, digest: Digest = read_digest) -> tuple[tuple[str, str], ...]:
    """Entries (paths below the store) that are damaged, and how; every byte is read.

    Engines are compared with the list that was made when they were unpacked, or with the manifest
    of their build, source trees with the hash in their name; weights that lie elsewhere are read
    where they lie.
    """
    return (*_weights(store.folder, digest), *_engines(store, digest), *_trees(store.folder))


def _weights(folder: Path, digest: Digest) -> Iterator[tuple[str, str]]:
    for entry in sorted((folder / "weights").glob("*")):
        name = f"weights/{entry.name}"
        try:
            files = [
                LockedFile(name=path.name, sha256=digest(path), size_bytes=path.stat().st_size)
                for path in sorted(entry.iterdir())
            ]
        except OSError as error:
            yield name, _unreadable(error)
            continue
        if not files:
            yield name, "is empty"
        elif (found := weights_digest(files)) != entry.name:
            yield name, f"has SHA-256 {found}"


def _engines(store: Store, digest: Digest) -> Iterator[tuple[str, str]]:
    for entry in sorted((store.folder / "engines").glob("*")):
        wheel_sha256, _, rest = entry.name.partition("-")
        if rest.startswith("llama.cpp-"):  # no package is called so: names have no dots
            if problem := built_problem(entry):
                yield f"engines/{entry.name}", problem
            continue
        package, _, version = rest.rpartition("-")
        origin = store.origin(wheel_sha256)
        if origin is None or origin.program is None:
            yield f"engines/{entry.name}", "has lost the list of its files"
            continue
        locked = LockedPackage(name=package, version=version, file=origin.wheel)
        if problem := store.unpacked_problem(locked, origin.program, digest):
            yield f"engines/{entry.name}", problem


def _trees(folder: Path) -> Iterator[tuple[str, str]]:
    for entry in sorted((folder / "trees").glob("*")):
        name = f"trees/{entry.name}"
        try:
            found = tree_folder(nar_hash(entry))
        except OSError as error:
            yield name, _unreadable(error)
            continue
        if found != name:
            yield name, f"has the NAR hash of {found}"


def _unreadable(error: OSError) -> str:
    path = Path(error.filename)
    if path.is_symlink():
        return f"leads to `{path.readlink()}`: {error.strerror}"
    return f"`{path}`: {error.strerror}"
