"""`llmdecl compile`: artefacts into a folder, for Nix, GitOps and the curious."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import (
    compile_stack,
    facts_option,
    folder_options,
    require_plan,
    spec_argument,
)
from llmdecl.diagnostics import Diagnostic
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.cli.packaging import Strictness, Target
    from llmdecl.emit.artefact import ArtefactSet

MANIFEST = "manifest.json"
"""Names what an earlier compile wrote, so that the next one can take away what is gone."""


@click.command(name="compile")
@spec_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder; empty, new, or written by an earlier compile.",
)
@click.option(
    "--target",
    type=click.Choice(["nixos", "home-manager"]),
    help="As a package of units; facts are what the spec declares and the lock pins.",
)
@click.option("--program", metavar="PATH", help="With --target: llmdecl's command there.")
@click.option("--state", metavar="DIR", help="With --target: the stack's state there.")
@click.option("--store", metavar="DIR", help="With --target: weights and engines there.")
@click.option("--user", metavar="NAME", help="With --target nixos: the account.")
@click.option("--group", metavar="NAME", help="With --target nixos: its group.")
@click.option("--socket-proxy", metavar="PATH", help="With --target: systemd-socket-proxyd there.")
@click.option("--fetch", is_flag=True, help="With --target: a unit that brings weights.")
@click.option("--environment-file", metavar="PATH", help="With --fetch: variables, as HF_TOKEN.")
@click.option("--address-prefix", default="", metavar="OPTION", help="Before all addresses.")
@click.option(
    "--check",
    "strictness",
    type=click.Choice(["all", "syntax-only", "none"]),
    default="all",
    show_default=True,
    help="With --target: what fails here; the rest makes the router's unit fail.",
)
@facts_option
@folder_options
def command(
    spec: Path | None,
    *,
    output: Path,
    facts_file: Path | None,
    target: "Target | None",
    program: str | None,
    state: str | None,
    store: str | None,
    user: str | None,
    group: str | None,
    socket_proxy: str | None,
    fetch: bool,
    environment_file: str | None,
    address_prefix: str,
    strictness: "Strictness",
    where: Folders,
) -> int:
    """Write the artefacts into a folder; no state, no network.

    The same spec, lock and facts give the same bytes on any machine and any day.
    """
    from llmdecl.cli.views.explain import show_written
    from llmdecl.emit.artefact import Artefact
    from llmdecl.values import to_json

    if target is not None:
        from llmdecl.cli.packaging import Packaging, package
        from llmdecl.emit.dialects.systemd import is_whole_value
        from llmdecl.emit.packaged import NIXOS_PROXY, Machine
        from llmdecl.emit.systemd.names import ACCOUNT

        if not (program and state and store):
            raise click.UsageError("--target needs --program, --state and --store.")
        if environment_file is not None and not is_whole_value(environment_file):
            raise click.UsageError("--environment-file: no line of a unit carries this path.")
        if not is_whole_value(store):
            raise click.UsageError("--store: no line of a unit carries this path.")
        machine = Machine(
            program=program,
            state=state,
            store=store,
            user=user or ACCOUNT,
            group=group or ACCOUNT,
            proxy=socket_proxy or NIXOS_PROXY,
            environment_file=environment_file,
        )
        how = Packaging(target, machine, fetch, address_prefix, strictness)
        artefacts, found = package(spec, how)
        show_found(found)
    else:
        stack = compile_stack(spec, where, facts_file=facts_file)
        require_plan(stack)
        plan = Artefact(path="plan.json", text=to_json(stack.compiled.plan).decode())
        artefacts = (*stack.compiled.artefacts, plan)
    artefacts = tuple(sorted(artefacts, key=lambda each: each.path))
    write(output, artefacts)
    show_written(output, [artefact.path for artefact in artefacts])
    return 0


def show_found(found: tuple[Diagnostic, ...]) -> None:
    """Warnings, and errors that fail nothing."""
    if found:
        from llmdecl.cli.views.diagnostics import show

        show(found)


def write(folder: Path, artefacts: "ArtefactSet") -> None:
    """The artefacts and their manifest; a usage error when the folder holds anything else."""
    import hashlib

    from llmdecl.values import from_json, to_json

    manifest = folder / MANIFEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = from_json(manifest.read_bytes(), dict[str, str]) if manifest.is_file() else {}
        if not manifest.is_file() and any(folder.iterdir()):
            raise click.UsageError(f"`{folder}` holds what `llmdecl compile` did not write.")
        texts = {artefact.path: artefact.text.encode() for artefact in artefacts}
        for gone in sorted(old.keys() - texts.keys()):
            stale = folder / gone
            if stale.resolve().is_relative_to(folder.resolve()):
                stale.unlink(missing_ok=True)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text)
        digests = {path: hashlib.sha256(text).hexdigest() for path, text in texts.items()}
        manifest.write_bytes(to_json(digests))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"`{folder}` can't be written: {error}") from error
