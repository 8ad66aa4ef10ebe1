"""Generations: what was applied, each an immutable folder `{state}/generations/N`.

A folder is written under a temporary name, made durable and renamed, so it is there whole or not
at all. `wanted` is what manager and router read; `current` the last generation whose gates passed.
Both are relative links and change by rename.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from llmdecl.activate.atomic import replace_link, write_new
from llmdecl.activate.rules import DAMAGED_GENERATION, NO_GENERATION
from llmdecl.diagnostics import Failure
from llmdecl.emit.artefact import ArtefactSet
from llmdecl.facts.model import Facts
from llmdecl.plan.model import Plan
from llmdecl.store.durable import sync as sync_folder
from llmdecl.store.lock import parse_lock
from llmdecl.store.model import Lock
from llmdecl.values import Value, from_json, to_json

KEPT = 20
"""So many of the newest stay, and whatever `wanted` and `current` point at."""

Pointer = Literal["wanted", "current"]


class Manifest(Value, frozen=True, kw_only=True):
    """`manifest.json`: SHA-256 of every other file by its path.

    `created` is UTC, ISO 8601. `origin` is the spec's file at the time: its relative sources start
    in that folder. `artefacts` names the files that the compiler wrote.
    """

    schema: int = 1
    created: str
    origin: str
    artefacts: tuple[str, ...]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Content:
    """What a generation is made of. `spec_name` is `spec.toml` or `spec.json`."""

    origin: str
    spec_name: str
    spec_text: bytes
    lock: Lock
    facts: Facts
    plan: Plan
    artefacts: ArtefactSet

    def files(self) -> dict[str, bytes]:
        """All files but the manifest, by path."""
        own = {
            self.spec_name: self.spec_text,
            "lock.json": to_json(self.lock),
            "facts.json": to_json(self.facts),
            "plan.json": to_json(self.plan),
        }
        return own | {artefact.path: artefact.text.encode() for artefact in self.artefacts}


@dataclass(frozen=True, slots=True)
class Generation:
    """A stored generation: its number, folder, manifest and plan."""

    number: int
    folder: Path
    manifest: Manifest
    plan: Plan

    def artefact_digests(self) -> Mapping[str, str]:
        """SHA-256 by path of what the compiler wrote."""
        return {path: self.manifest.files[path] for path in self.manifest.artefacts}

    def lock(self) -> Lock:
        """The lock that it was compiled with; a Failure when it can't be read."""
        try:
            return parse_lock((self.folder / "lock.json").read_bytes())
        except (OSError, ValueError) as error:
            at = f"generation {self.number}"
            summary = f"the lock of {at} can't be read"
            raise Failure(DAMAGED_GENERATION.at(at, summary, notes=[str(error)])) from error

    def spec_file(self) -> Path:
        """The spec as it was then."""
        toml = self.folder / "spec.toml"
        return toml if toml.exists() else self.folder / "spec.json"


def digest(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class Generations:
    """All generations of one stack. Writers hold the apply lock."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.root = state / "generations"

    def numbers(self) -> tuple[int, ...]:
        """Numbers that are stored, ascending."""
        if not self.root.is_dir():
            return ()
        names = (entry.name for entry in self.root.iterdir())
        return tuple(sorted(int(name) for name in names if name.isdecimal()))

    def pointer(self, name: Pointer) -> int | None:
        """The number that `wanted` or `current` points at; `None` without such a link."""
        try:
            target = PurePosixPath((self.state / name).readlink())
        except (FileNotFoundError, OSError):
            return None
        return int(target.name) if target.name.isdecimal() else None

    def point(self, name: Pointer, number: int | None) -> None:
        """Make `wanted` or `current` point at `number`; `None` removes the link."""
        if number is None:
            (self.state / name).unlink(missing_ok=True)
            sync_folder(self.state)
        elif self.pointer(name) != number:
            replace_link(self.state / name, f"generations/{number}")

    def load(self, number: int) -> Generation:
        """A stored generation; a Failure when it is not there or can't be read."""
        folder = self.root / str(number)
        if not folder.is_dir():
            raise Failure(
                NO_GENERATION.at(f"generation {number}", f"generation {number} is not stored")
            )
        try:
            manifest = from_json((folder / "manifest.json").read_bytes(), Manifest)
            plan = from_json((folder / "plan.json").read_bytes(), Plan)
        except (OSError, ValueError) as error:
            raise Failure(
                DAMAGED_GENERATION.at(
                    f"generation {number}",
                    f"generation {number} can't be read",
                    notes=[str(error)],
                )
            ) from error
        return Generation(number, folder, manifest, plan)

    def load_pointed(self, name: Pointer) -> Generation | None:
        """What `wanted` or `current` points at; `None` when that is nothing or can't be read."""
        number = self.pointer(name)
        try:
            return None if number is None else self.load(number)
        except Failure:
            return None

    def damage(self, generation: Generation) -> tuple[str, ...]:
        """Paths that are missing, have other bytes than in the manifest, or do not belong there."""
        found = {
            path.relative_to(generation.folder).as_posix(): path
            for path in generation.folder.rglob("*")
            if not path.is_dir()
        }
        found.pop("manifest.json", None)
        expected = generation.manifest.files
        wrong = set(found) ^ set(expected)
        for name in set(found) & set(expected):
            try:
                intact = digest(found[name].read_bytes()) == expected[name]
            except OSError:
                intact = False
            if not intact:
                wrong.add(name)
        return tuple(sorted(wrong))

    def require_intact(self, generation: Generation) -> None:
        """A Failure that names the damaged files."""
        wrong = self.damage(generation)
        if wrong:
            raise Failure(
                DAMAGED_GENERATION.at(
                    f"generation {generation.number}",
                    f"generation {generation.number} is damaged: `{wrong[0]}`"
                    + (f" and {len(wrong) - 1} more" if wrong[1:] else ""),
                    notes=[f"`{name}` is not what the manifest says" for name in wrong[1:]],
                )
            )

    def equal(self, content: Content) -> Generation | None:
        """A generation that runs exactly this: the current one, the wanted one or the newest.

        Spec text and facts may differ: what runs follows from plan, lock and artefacts.
        """
        files = {name: digest(data) for name, data in content.files().items()}
        candidates = (self.pointer("current"), self.pointer("wanted"), *self.numbers()[-1:])
        for number in dict.fromkeys(candidates):
            if number is None or number not in self.numbers():
                continue
            try:
                stored = self.load(number)
            except Failure:
                continue
            same = _essential(stored.manifest.files) == _essential(files)
            if same and not self.damage(stored):
                return stored
        return None

    def write(self, content: Content) -> Generation:
        """The generation with this content: an equal one that is there, or a new one."""
        known = self.equal(content)
        if known is not None:
            return known
        self.root.mkdir(parents=True, exist_ok=True)
        for left in self.root.glob(".new-*"):  # of an apply that was killed
            shutil.rmtree(left)
        number = max(self.numbers(), default=0) + 1
        new = self.root / f".new-{os.getpid()}"
        new.mkdir(mode=0o700)
        files = content.files()
        manifest = Manifest(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            origin=content.origin,
            artefacts=tuple(artefact.path for artefact in content.artefacts),
            files={name: digest(data) for name, data in sorted(files.items())},
        )
        for name, data in {**files, "manifest.json": to_json(manifest)}.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, data, mode=0o444)
        for folder in {path.parent for path in new.rglob("*")}:
            sync_folder(folder)
        new.rename(self.root / str(number))
        sync_folder(self.root)
        return self.load(number)

    def prune(self) -> tuple[int, ...]:
        """Remove all but the newest `KEPT`; `wanted` and `current` stay. Says which went.

        What can't be removed stays: the next time tries again. An overlay renames no folder that
        lies in a layer below.
        """
        keep = {*self.numbers()[-KEPT:], self.pointer("wanted"), self.pointer("current")}
        gone = tuple(number for number in self.numbers() if number not in keep)
        for number in gone:
            old = self.root / f".new-old-{number}"
            with contextlib.suppress(OSError):
                (self.root / str(number)).rename(old)
            shutil.rmtree(old, ignore_errors=True)
        return gone


def _essential(files: Mapping[str, str]) -> dict[str, str]:
    apart = {"spec.toml", "spec.json", "facts.json"}
    return {name: value for name, value in files.items() if name not in apart}
