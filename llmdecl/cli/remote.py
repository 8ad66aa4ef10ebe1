"""Sources on the network as arguments of verbs that need no spec."""

import click

from llmdecl.sources.reference import (
    HfReference,
    HttpsReference,
    OllamaReference,
    parse_reference,
)


def remote_reference(text: str) -> HfReference | HttpsReference | OllamaReference:
    """What it says; click's UsageError when it can't be read."""
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if isinstance(reference, HfReference | HttpsReference | OllamaReference):
        return reference
    raise click.UsageError(f"`{text}` is not on the network")
