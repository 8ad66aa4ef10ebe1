"""A conversation on the terminal."""

import sys
from collections.abc import Iterable

import click


def show_answer(pieces: Iterable[str]) -> None:
    """Each piece at once, then a line break."""
    for piece in pieces:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()


def ask_person(model: str) -> str:
    """The next line; empty at the end of the conversation."""
    try:
        return input(f"{model}> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        return ""
