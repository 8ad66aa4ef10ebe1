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
from llmdecl.paths import Folders

if TYPE_CHECKING:
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
@facts_option
@folder_options
def command(spec: Path | None, *, output: Path, facts_file: Path | None, where: Folders) -> int:
    """Write the artefacts into a folder; no state, no network.

    The same spec, lock and facts give the same bytes on any machine and any day.
    """
    from llmdecl.cli.views.explain import show_written
    from llmdecl.emit.artefact import Artefact
    from llmdecl.values import to_json

    stack = compile_stack(spec, where, facts_file=facts_file)
    require_plan(stack)
    plan = Artefact(path="plan.json", text=to_json(stack.compiled.plan).decode())
    artefacts = tuple(sorted((*stack.compiled.artefacts, plan), key=lambda each: each.path))
    write(output, artefacts)
    show_written(output, [artefact.path for artefact in artefacts])
    return 0


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
