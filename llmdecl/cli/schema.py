"""`llmdecl schema`: the spec's JSON Schema."""

import click


@click.command(name="schema")
@click.option("--markdown", is_flag=True, help="The reference page for people instead.")
def command(*, markdown: bool) -> None:
    """Print the JSON Schema of the spec (draft 2020-12), for editors and for other programs."""
    from llmdecl.spec.json_schema import json_schema
    from llmdecl.spec.page import spec_page

    schema = json_schema()
    click.echo(spec_page(schema) if markdown else schema, nl=False)
