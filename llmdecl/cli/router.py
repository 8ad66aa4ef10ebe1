"""`llmdecl router`: the process that serves endpoints."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from llmdecl.router.app import Manager


@click.command("router")
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False), metavar="ROUTER.JSON")
@click.option(
    "--run",
    "run_dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder of the sockets: supervisord's, the models' and the router's own.",
)
@click.option(
    "--logs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the models' logs, where the manager writes any.",
)
@click.option(
    "--manager",
    type=click.Choice(("supervisord", "systemd", "systemd-user")),
    default="supervisord",
    help="Who keeps the models.",
)
@click.option(
    "--measured",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what models really took; later plans read it.",
)
@click.option("--activated", is_flag=True, help="Take the endpoints' sockets from systemd.")
def command(
    config: Path,
    run_dir: Path,
    logs: Path | None,
    measured: Path | None,
    manager: "Manager",
    *,
    activated: bool,
) -> int:
    """Run the router in the foreground; the manager calls this.

    TERM drains and exits, the models live on. HUP reloads ROUTER.JSON.
    """
    from llmdecl.router.app import Places, run

    return run(Places(config, run_dir.absolute(), logs, measured, manager, activated))
