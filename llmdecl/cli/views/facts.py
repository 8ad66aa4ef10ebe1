"""What `facts` says."""

from pathlib import Path

import click

from llmdecl.facts.model import Facts
from llmdecl.values import to_json


def show_facts(facts: Facts) -> None:
    """As the JSON that `--facts` reads."""
    click.echo(to_json(facts), nl=False)


def show_written(path: Path, facts: Facts) -> None:
    """One line: where, and of how much."""
    engines, weights = len(facts.engines), len(facts.weights)
    click.echo(f"{path}: {facts.host.name}, engines: {engines}, sources: {weights}", err=True)
