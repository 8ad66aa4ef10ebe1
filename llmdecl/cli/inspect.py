"""`llmdecl inspect`: a GGUF header for people and programs."""

from pathlib import Path

import click

from llmdecl.cli.context import folder_options
from llmdecl.diagnostics import Diagnostic, has_errors
from llmdecl.facts.model import GgufFacts
from llmdecl.paths import Folders

Looked = tuple[str, GgufFacts | None, tuple[Diagnostic, ...]]


@click.command(name="inspect")
@click.argument("file", type=click.Path(path_type=str), metavar="FILE|SOURCE")
@click.option("--quantization", metavar="WORD", help="Picks the file of a repository: `Q5_K_M`.")
@click.option("--json", "as_json", is_flag=True, help="All facts, as versioned JSON.")
@click.option("--tensors", is_flag=True, help="List every group of tensors.")
@folder_options
def command(
    file: str, *, quantization: str | None, as_json: bool, tensors: bool, where: Folders
) -> int:
    """Show a GGUF header; any part of a split model shows the whole.

    SOURCE is `hf:OWNER/REPO[@REVISION][/FILE]`, `https://...` or `ollama:NAME[:TAG]`: the header is
    read where it is, a few megabytes.
    """
    from llmdecl.cli.views.gguf import show_gguf, show_gguf_json
    from llmdecl.facts.gguf import read_gguf
    from llmdecl.sources.peek import is_remote

    if quantization is not None and not file.startswith("hf:"):
        raise click.UsageError("`--quantization` picks a file of `hf:OWNER/REPO`")
    if is_remote(file):
        name, facts, found = _remote(file, quantization, where)
    else:
        path = Path(file)
        name, (facts, found) = path.name, read_gguf(path)
    if as_json:
        show_gguf_json(name, facts, found)
    else:
        if facts is not None:
            show_gguf(name, facts, tensors=tensors)
        if found:
            from llmdecl.cli.views.diagnostics import show

            show(found)
    return 1 if has_errors(found) else 0


def _remote(text: str, quantization: str | None, where: Folders) -> Looked:
    """A Failure when it can't be read; the name is the file's, with its folder in a repository."""
    from llmdecl.cli.remote import remote_reference
    from llmdecl.sources.http.web import Web
    from llmdecl.sources.peek import open_repository, peek_https, peek_hub
    from llmdecl.sources.reference import HttpsReference, OllamaReference
    from llmdecl.store.suppliers.ollama import peek as peek_ollama

    reference, web = remote_reference(text), Web()
    if isinstance(reference, OllamaReference):
        facts, found = peek_ollama(text, reference)
        return text, facts, found
    if isinstance(reference, HttpsReference):
        name, (facts, found) = peek_https(web, reference, where.cache)
        return name, facts, found
    repository = open_repository(web, reference, quantization, None, any_model=False)
    facts, found = peek_hub(repository, where.cache)
    return repository.chosen.path, facts, found
