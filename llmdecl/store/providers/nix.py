"""Provider `nix`: a package that Nix builds or has, used where it lies in Nix's store.

A link below `nix-roots/` of our store keeps Nix's garbage collector from it.
"""

import hashlib
from pathlib import Path

from llmdecl.diagnostics import Failure
from llmdecl.sources.nix.client import Built, Nix, Package, find, parse_package
from llmdecl.sources.nix.rules import NIX_NO_LLAMA_SERVER, NIX_NOT_PINNED, NIX_OUTPUT_CHANGED
from llmdecl.spec.schema import NixEngine
from llmdecl.store.layout import nix_root
from llmdecl.store.model import LockedEngine, LockedNix
from llmdecl.store.providers.provider import (
    Diagnostics,
    Pinned,
    Provider,
    locked_engine,
    probe,
)
from llmdecl.store.rules import FILE_CHANGED
from llmdecl.store.store import Store
from llmdecl.store.suppliers.supplier import Room
from llmdecl.store.wanted import WantedEngine

PROGRAM = "bin/llama-server"


def pin(room: Room, want: WantedEngine, kept: LockedEngine | None) -> Pinned:
    """What the reference comes to now; Nix's store has it afterwards, because it was asked."""
    if kept is not None:
        return kept, ()
    assert isinstance(want.engine, NixEngine)
    client, address = _client(room, want)
    package = parse_package(want.engine.package, address)
    room.progress.begin(want.address, None)
    reference = package.text
    warnings: Diagnostics = ()
    if package.kind == "flake":
        url, pinned = client.locked_flake(package.text)
        reference = f"{url}#{package.fragment}" if package.fragment else url
        if not pinned:
            summary = f"`{package.text}` is a tree with changes that git does not know"
            warnings = (NIX_NOT_PINNED.at(address, summary),)
    built = _build(client, package, reference)
    output = _output(built, want.engine.package, address)
    executable = f"{output}/{PROGRAM}"
    facts = probe(room, Path(executable), address)
    _keep(room, client, output)
    # what Nix built is known by its store path; the libraries beside the program are in it
    digest = hashlib.sha256(f"{output}\n".encode()).hexdigest()
    locked = locked_engine(want, facts, executable, None, digest).replace(
        nix=LockedNix(
            package=want.engine.package,
            reference=reference,
            derivation=built.derivation,
            output=output,
        )
    )
    room.progress.done(want.address, "in Nix's store")
    return locked, warnings


def bring(room: Room, want: WantedEngine, locked: LockedEngine) -> Diagnostics:
    """Have Nix's store hold the locked output; from a cache, or by building it again."""
    assert locked.nix is not None
    client, address = _client(room, want)
    output, program = locked.nix.output, Path(locked.executable)
    if not program.is_file():
        room.progress.begin(want.address, None)
        package = parse_package(locked.nix.package, address)
        built = _build(client, package, locked.nix.reference)
        if output not in built.outputs:
            notes = (f"locked: {output}", f"built: {built.outputs[0]}")
            summary = f"`{locked.nix.package}` comes to another output than it is locked with"
            raise Failure(NIX_OUTPUT_CHANGED.at(address, summary, notes=notes))
        _output(built, locked.nix.package, address)
    found = room.tools.digest(program)
    if found != locked.binary_sha256:
        summary = f"`{program}` has SHA-256 {found}, and is locked with {locked.binary_sha256}"
        raise Failure(FILE_CHANGED.at(address, summary))
    _keep(room, client, output)
    room.progress.done(want.address, "in Nix's store")
    return ()


def missing(store: Store, locked: LockedEngine) -> int | None:  # noqa: ARG001  # its type
    """Nix alone knows how much it would bring: 0 bytes, when the output is not here."""
    return None if Path(locked.executable).is_file() else 0


def _client(room: Room, want: WantedEngine) -> tuple[Nix, str]:
    address = f"{want.address}.package"
    return Nix(address, room.base, room.called_off), address


def _build(client: Nix, package: Package, reference: str) -> Built:
    match package.kind:
        case "flake":
            return client.build_flake(reference)
        case "attribute":
            return client.build_attribute(package.text)
        case _:
            return client.realise(package.text)


def _output(built: Built, package: str, address: str) -> str:
    """The output that holds the program."""
    for output in built.outputs:
        if Path(output, PROGRAM).is_file():
            return output
    summary = f"`{package}` holds no `{PROGRAM}`"
    raise Failure(NIX_NO_LLAMA_SERVER.at(address, summary, notes=built.outputs))


def _keep(room: Room, client: Nix, output: str) -> None:
    """A root for Nix's collector; none where Nix is absent, because then nothing collects."""
    root = room.store.folder / nix_root(output)
    held = root.is_symlink() and str(root.readlink()) == output
    if not held and find("nix-store") is not None:
        client.keep(output, root)


NIX = Provider(pin=pin, bring=bring, missing=missing)
