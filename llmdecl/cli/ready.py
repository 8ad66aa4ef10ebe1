"""`llmdecl ready`: units call it before and after a start."""

import os

import click


@click.command("ready")
@click.option("--socket", metavar="PATH", help="Wait until a model answers `/health` there.")
@click.option("--path", metavar="PATH", help="Wait until this exists.")
@click.option("--timeout", "timeout_s", type=float, required=True, metavar="SECONDS")
def command(socket: str | None, path: str | None, timeout_s: float) -> int:
    """Wait for a model's socket or for a device; exit 1 when it does not come in time.

    MAINPID, as systemd sets it, is the model's process: once that has ended there is nothing to
    wait for.
    """
    from llmdecl.router.ready import await_path, await_socket, say

    if (socket is None) == (path is None):
        raise click.UsageError("one of --socket and --path")
    problem = None
    if socket is not None:
        main = os.environ.get("MAINPID", "")
        problem = await_socket(socket, timeout_s, int(main) if main.isdecimal() else None)
    elif path is not None:
        problem = await_path(path, timeout_s)
    return 0 if problem is None else say(problem)
