"""`llmdecl ready`: units call it before and after a start."""

import click


@click.command("ready")
@click.option("--socket", metavar="PATH", help="Wait until a model answers `/health` there.")
@click.option("--path", metavar="PATH", help="Wait until this exists.")
@click.option("--timeout", "timeout_s", type=float, required=True, metavar="SECONDS")
def command(socket: str | None, path: str | None, timeout_s: float) -> int:
    """Wait for a model's socket or for a device; exit 1 when it does not come in time."""
    from llmdecl.router.ready import await_path, await_socket, say

    if (socket is None) == (path is None):
        raise click.UsageError("one of --socket and --path")
    if socket is not None and not await_socket(socket, timeout_s):
        return say(f"nothing healthy at {socket} after {timeout_s:g} s")
    if path is not None and not await_path(path, timeout_s):
        return say(f"{path} is not there after {timeout_s:g} s")
    return 0
