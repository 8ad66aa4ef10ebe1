"""What a fetch would bring, by presence and sizes; no content is read and no connection made."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmdecl.diagnostics import Failure
from llmdecl.paths import Folders
from llmdecl.sources.adopt import Place, find, places
from llmdecl.sources.ollama.local import folders as ollama_stores
from llmdecl.spec.schema import Spec
from llmdecl.store.layout import built_folder
from llmdecl.store.model import Lock, LockedEngine, LockedWeights
from llmdecl.store.providers.table import PROVIDERS
from llmdecl.store.reasons import weights_bytes
from llmdecl.store.remains import unfinished
from llmdecl.store.store import Store
from llmdecl.store.wanted import chosen, wanted


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that the store lacks, and how it gets there.

    `bytes` come over the network; `stored_bytes` is what stays of it, `None` where nobody knows
    yet (an engine: its lock has only the size of its wheel or source). `arrived_bytes` are here of
    a download that was cut off, and not counted in `bytes`. `program` has the file already.
    """

    name: str
    bytes: int
    stored_bytes: int | None
    way: Literal["download", "link", "adopt", "build", "nix"] = "download"
    arrived_bytes: int = 0
    program: str = ""


def missing(
    spec: Spec, lock: Lock, folders: Folders, only: Iterable[str] = ()
) -> tuple[Missing, ...]:
    """What the store lacks of the lock; `only` of these models, engines and sources, if any."""
    store = Store(folders.store, lambda _: "")
    wants = wanted(spec)
    names = tuple(only) or ("*",)
    sources, engines, problems = chosen(wants, names)
    if problems:
        raise Failure(*problems)
    found = []
    for want in wants.engines:
        engine = lock.engines.get(want.name) if want.name in engines else None
        if engine is not None and (lacks := _engine(store, want.address, engine)):
            found.append(lacks)
    others = _programs(spec)
    arrived = {each.key: each.bytes for each in unfinished(folders.store)}
    for source in wants.sources:
        locked = lock.weights.get(source.key) if source.key in sources else None
        if locked is not None and not store.has_weights(locked.digest):
            found.append(_weights(source.key, locked, others, arrived, folders.store))
    return tuple(found)


def free_bytes(store: Path) -> int:
    """Room in the file system of the store, which need not exist yet."""
    while not store.exists() and store != store.parent:
        store = store.parent
    return shutil.disk_usage(store).free


def _engine(store: Store, name: str, engine: LockedEngine) -> Missing | None:
    provider = PROVIDERS.get(engine.provider)
    size = provider.missing(store, engine) if provider else None
    if engine.recipe is not None and not (store.folder / built_folder(engine.recipe)).is_dir():
        return Missing(name, size or 0, None, "build")
    return None if size is None else Missing(name, size, None, "nix" if engine.nix else "download")


def _weights(
    key: str,
    locked: LockedWeights,
    others: tuple[Place, ...],
    arrived: dict[str, int],
    store: Path,
) -> Missing:
    if locked.package is not None:
        return Missing(key, locked.package.file.size_bytes, weights_bytes(locked))
    if locked.origin is None:
        return Missing(key, 0, 0, "link")
    remaining, here, programs = 0, 0, []
    for file in locked.files:
        # by size alone: that it is the file is proved when it is fetched
        candidate = find(file, others, lambda _, file=file: file.sha256, store=store)  # type: ignore[misc]
        if candidate is not None:
            programs.append(candidate.program)
            continue
        part = min(arrived.get(file.sha256, 0), file.size_bytes)
        remaining, here = remaining + file.size_bytes - part, here + part
    program = ", ".join(dict.fromkeys(programs))
    way: Literal["download", "adopt"] = "adopt" if programs and not remaining else "download"
    return Missing(key, remaining, remaining + here, way, here, program)


def _programs(spec: Spec) -> tuple[Place, ...]:
    sources = spec.sources
    if sources is not None and sources.adopt is False:
        return ()
    ollama = sources.ollama if sources else None
    stores = ollama_stores(ollama.models_dir if ollama else None, os.environ, Path.home())
    return places(os.environ, Path.home(), stores)
