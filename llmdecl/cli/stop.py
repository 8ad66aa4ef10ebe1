"""`llmdecl stop`."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders


@click.command(name="stop")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@folder_options
def command(models: tuple[str, ...], *, where: Folders) -> int:
    """Let models finish what they do, then stop them.

    The next request starts a stopped model again."""
    from llmdecl.activate.hands import hands_for
    from llmdecl.activate.steps import end_unrouted
    from llmdecl.cli.lifecycle import require_current, require_done, require_model, require_router
    from llmdecl.cli.views.changes import show_done

    hands = hands_for(where)
    plan = require_current(hands).plan
    chosen = [require_model(plan, name) for name in models]
    require_router(hands)
    for model in chosen:
        patience_s = plan.router.drain_timeout_s + plan.router.queue_timeout_s + 30
        answer = hands.router.stop(model.name, timeout_s=patience_s)
        require_done(model.name, "stop", answer, hands)
        end_unrouted(hands, model.name)
        show_done(model.name, "stopped")
    return 0
