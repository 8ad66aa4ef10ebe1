"""`llmdecl restart`."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders


@click.command(name="restart")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@folder_options
def command(models: tuple[str, ...], *, where: Folders) -> int:
    """Let models finish what they do, then start them anew; requests wait meanwhile."""
    from llmdecl.activate.hands import hands_for
    from llmdecl.cli.lifecycle import require_current, require_done, require_model, require_router
    from llmdecl.cli.views.changes import show_done

    hands = hands_for(where)
    plan = require_current(hands).plan
    chosen = [require_model(plan, name) for name in models]
    require_router(hands)
    for model in chosen:
        patience_s = (
            model.start_timeout_s + plan.router.drain_timeout_s + plan.router.queue_timeout_s + 30
        )
        answer = hands.router.restart(model.name, timeout_s=patience_s)
        require_done(model.name, "restart", answer, hands)
        show_done(model.name, "restarted")
    return 0
