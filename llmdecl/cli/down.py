"""`llmdecl down`: stop everything."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.cli.lifecycle import yes_option
from llmdecl.paths import Folders


@click.command(name="down")
@yes_option
@folder_options
def command(*, yes: bool, where: Folders) -> int:
    """Drain, then stop models, router and manager; `llmdecl apply` starts them again.

    Generations, logs and the store stay.
    """
    from llmdecl.activate.apply import anything_runs, down
    from llmdecl.activate.exclusive import exclusive
    from llmdecl.activate.hands import check_folders, hands_for
    from llmdecl.cli.lifecycle import confirm
    from llmdecl.cli.views.changes import say, show_down

    check_folders(where)
    if not where.state.exists():
        show_down(was_up=False)
        return 0
    with exclusive(where.state, "down"):
        hands = hands_for(where, say=say)
        up = anything_runs(hands)
        if up:
            confirm("Stop everything of this stack?", yes=yes)
        if up or hands.journal.read() is not None:
            down(hands)
        show_down(was_up=up)
    return 0
