"""`llmdecl start`."""

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders


@click.command(name="start")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@folder_options
def command(models: tuple[str, ...], *, where: Folders) -> int:
    """Start models and wait until they answer.

    Others that are idle make room when the memory is needed."""
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
        answer = hands.router.start(model.name, timeout_s=patience_s)
        require_done(model.name, "start", answer, hands)
        show_done(model.name, "started")
    return 0
