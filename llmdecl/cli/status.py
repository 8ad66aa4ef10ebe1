"""`llmdecl status`: what runs."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders, systems_stack


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--drift", is_flag=True, help="Exit 2 when the world is not as it was applied.")
@folder_options
def command(*, as_json: bool, drift: bool, where: Folders) -> int:
    """Show models, their state, memory and idle time left, and where the stack drifted.

    Looks only; a model that is not loaded is not woken.
    """
    from llmdecl.activate.hands import hands_for
    from llmdecl.activate.survey import survey
    from llmdecl.cli.views.status import show, show_json

    found = survey(hands_for(where))
    if as_json:
        show_json(found)
    else:
        show(found, of_system=systems_stack())
    return 2 if drift and found.drift else 0
