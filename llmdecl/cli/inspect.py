"""`llmdecl inspect`: a GGUF header for people and programs."""

from pathlib import Path

import click

from llmdecl.diagnostics import has_errors


@click.command(name="inspect")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="All facts, as versioned JSON.")
@click.option("--tensors", is_flag=True, help="List every group of tensors.")
def command(file: Path, *, as_json: bool, tensors: bool) -> int:
    """Show a GGUF header; any part of a split model shows the whole."""
    from llmdecl.cli.views.gguf import show_gguf, show_gguf_json
    from llmdecl.facts.gguf import read_gguf

    facts, found = read_gguf(file)
    if as_json:
        show_gguf_json(file, facts, found)
    else:
        if facts is not None:
            show_gguf(file, facts, tensors=tensors)
        if found:
            from llmdecl.cli.views.diagnostics import show

            show(found)
    return 1 if has_errors(found) else 0
