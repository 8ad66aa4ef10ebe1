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
    from llmdecl.activate.generations import Generations
    from llmdecl.activate.logs import Follower, log_file, tail
    from llmdecl.activate.logs import follow as follow_lines
    from llmdecl.activate.rules import NO_LOG
    from llmdecl.cli.lifecycle import require_model
    from llmdecl.cli.views.status import show_line
    from llmdecl.diagnostics import Failure

    part = name or "router"
    path = log_file(where.state / "logs", part)
    current = Generations(where.state).load_pointed("current")
    if part not in PARTS and not path.exists() and current is not None:
        part = require_model(current.plan, part).name
        path = log_file(where.state / "logs", part)
    if not path.exists() and not follow:
        raise Failure(NO_LOG.at(part, f"`{part}` has no log yet"))
    follower = Follower(path)
    for line in tail(path, lines):
        show_line(line)
    if follow:
        for line in follow_lines(follower):
            show_line(line)
    follower.close()
    return 0
