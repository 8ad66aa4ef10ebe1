"""`llmdecl logs`: what models, router and supervisord say."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders

PARTS = ("router", "supervisord")


@click.command(name="logs")
@click.argument("name", required=False, metavar="[MODEL|router|supervisord]")
@click.option("--follow", "-f", is_flag=True, help="Go on as lines are written, until interrupted.")
@click.option("--lines", "-n", default=40, show_default=True, help="So many from the end.")
@folder_options
def command(name: str | None, *, follow: bool, lines: int, where: Folders) -> int:
    """Show the end of a log; without a name, of the router's.

    A model's log holds what its engine says: buffers, timings, errors; no prompts.
    """
    from llmdecl.activate.hands import hands_for
    from llmdecl.activate.live import MODEL_PROGRAM
    from llmdecl.activate.rules import NO_LOG
    from llmdecl.cli.lifecycle import require_model
    from llmdecl.cli.views.status import show_line
    from llmdecl.diagnostics import Failure

    hands = hands_for(where)
    part = name or "router"
    log = hands.manager.log(part if part in PARTS else f"{MODEL_PROGRAM}{part}")
    current = hands.generations.load_pointed("current")
    if part not in PARTS and current is not None and not log.exists():
        part = require_model(current.plan, part).name
        log = hands.manager.log(f"{MODEL_PROGRAM}{part}")
    if not follow and not log.exists():
        raise Failure(NO_LOG.at(part, f"`{part}` has no log yet"))
    for line in log.follow(lines) if follow else log.tail(lines):
        show_line(line)
    return 0
