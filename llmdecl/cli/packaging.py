"""`llmdecl compile --target nixos`: a stack as a package of systemd's units, without a machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from llmdecl.cli.context import find_spec, load_lock
from llmdecl.cli.rules import NOT_SYSTEMD, RELATIVE_PATH
from llmdecl.diagnostics import Diagnostic, Failure, has_errors

if TYPE_CHECKING:
    from llmdecl.emit.artefact import ArtefactSet
    from llmdecl.emit.packaged import Link, Machine, Stack
    from llmdecl.spec.schema import Spec
    from llmdecl.store.model import Lock

Target = Literal["nixos", "home-manager"]
Strictness = Literal["all", "syntax-only", "none"]


@dataclass(frozen=True, slots=True)
class Packaging:
    """How a stack is packaged: `prefix` is put before addresses, `strictness` what fails."""

    target: Target
    machine: "Machine"
    fetch: bool
    prefix: str
    strictness: Strictness


def package(spec: Path | None, how: Packaging) -> tuple["ArtefactSet", tuple[Diagnostic, ...]]:
    """The package's files, and warnings; a Failure for a spec that does not check.

    Where errors are not to fail the build, the router's unit fails instead, and says them.
    """
    from llmdecl.cli.views.diagnostics import human
    from llmdecl.emit.packaged import failing

    try:
        files, found = _package(spec, how)
    except Failure as failure:
        found = tuple(prefixed(failure.diagnostics, how.prefix))
        if how.strictness == "all" or (how.strictness == "syntax-only" and not _is_spec(spec)):
            raise Failure(*found) from None
        said = click.unstyle(human(found, True)) + "\n"  # noqa: FBT003
        files = failing(said, how.machine, user=how.target == "home-manager")
        return files, found
    return files, tuple(prefixed(found, how.prefix))


def _package(spec: Path | None, how: Packaging) -> tuple["ArtefactSet", tuple[Diagnostic, ...]]:
    from llmdecl.cli.context import load_valid_spec
    from llmdecl.compiler import compile_spec
    from llmdecl.emit.packaged import packaged
    from llmdecl.facts.pinned import pinned

    path = find_spec(spec)
    loaded, valid = load_valid_spec(path)
    facts, lock, found = pinned(valid, load_lock(path))
    links, problems = _links(valid, lock)
    compiled = compile_spec(valid, facts, lock)
    found = (*loaded.diagnostics, *found, *problems, *_manager(valid, how.target))
    found += compiled.diagnostics
    if compiled.plan is None or has_errors(found):
        raise Failure(*found)
    files = packaged(
        compiled.artefacts,
        how.machine,
        _stack(path, lock),
        user=how.target == "home-manager",
        fetch=how.fetch,
        links=links,
    )
    return files, found


def _stack(path: Path, lock: "Lock") -> "Stack":
    from llmdecl.emit.packaged import Stack
    from llmdecl.values import to_json

    return Stack(
        spec=path.read_text("utf-8"),
        lock=to_json(lock).decode(),
        weights=to_json(lock.weights).decode(),
    )


def _links(spec: "Spec", lock: "Lock") -> tuple[tuple["Link", ...], list[Diagnostic]]:
    """Pinned files of the machine where the store has them."""
    from llmdecl.emit.packaged import Link
    from llmdecl.sources.reference import FileReference, parse_reference
    from llmdecl.store.layout import weights_files
    from llmdecl.store.wanted import wanted

    links: list[Link] = []
    problems: list[Diagnostic] = []
    for source in wanted(spec).sources:
        reference = parse_reference(source.source)
        pin = lock.weights.get(source.key)
        if not isinstance(reference, FileReference) or pin is None:
            continue
        path = Path(reference.path)
        if not path.is_absolute() or "*" in reference.path:
            summary = f"`{source.source}` is no absolute path of one file"
            problems.append(RELATIVE_PATH.at(source.address, summary))
            continue
        names = weights_files(pin.digest, len(pin.files))
        links += [
            Link(name, str(path.with_name(file.name)))
            for name, file in zip(names, pin.files, strict=True)
        ]
    return tuple(links), problems


def _manager(spec: "Spec", target: Target) -> Iterator[Diagnostic]:
    wanted = "systemd" if target == "nixos" else "systemd-user"
    kind = (spec.manager.kind if spec.manager else None) or "supervisord"
    if kind != wanted:
        summary = f"the manager is `{kind}`, and `--target {target}` is for `{wanted}`"
        yield NOT_SYSTEMD.at("manager.kind", summary)


def prefixed(found: tuple[Diagnostic, ...], prefix: str) -> Iterator[Diagnostic]:
    """Addresses of the spec as options; the generated file's lines say nothing to anybody."""
    from llmdecl.spec.address import parse_address
    from llmdecl.spec.schema import Spec

    for each in found:
        path = parse_address(each.address) if prefix else None
        if path and path[0] in Spec.model_fields:
            yield replace(each, address=f"{prefix}.{each.address}", span=None)
        elif prefix and each.span is not None:
            yield replace(each, address=prefix, span=None)
        else:
            yield each


def _is_spec(spec: Path | None) -> bool:
    """Whether the language of the spec is kept."""
    from llmdecl.cli.context import load_valid_spec

    try:
        load_valid_spec(find_spec(spec))
    except Failure:
        return False
    return True
