"""`llmdecl generations`: what was applied."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders


@click.command(name="generations")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@folder_options
def command(*, as_json: bool, where: Folders) -> int:
    """List stored generations, newest last.

    `current` is in force; `wanted` differs from it only while a change is under way or after one
    that was interrupted. The newest 20 are kept.
    """
    from llmdecl.activate.generations import Generations
    from llmdecl.activate.history import history
    from llmdecl.cli.views.generations import show, show_json

    entries = history(Generations(where.state))
    (show_json if as_json else show)(entries)
    return 0
