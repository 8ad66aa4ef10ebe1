"""`llmdecl schema`: the spec's JSON Schema."""

import click


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of the spec (draft 2020-12), for editors and for other programs."""
    from llmdecl.spec.json_schema import json_schema

    click.echo(json_schema(), nl=False)
