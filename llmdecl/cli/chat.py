"""`llmdecl chat`: talk to a model through the stack's endpoint."""

from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import folder_options
from llmdecl.paths import Folders
from llmdecl.spec.address import address as address_of

if TYPE_CHECKING:
    from llmdecl.activate.ask import Door
    from llmdecl.plan.model import ModelPlan, Plan


@click.command(name="chat")
@click.argument("model")
@click.argument("prompt", required=False)
@click.option("--max-tokens", type=click.IntRange(min=1), help="End the answer after so many.")
@folder_options
def command(model: str, prompt: str | None, *, max_tokens: int | None, where: Folders) -> int:
    """Ask MODEL and show its answer as it comes; without PROMPT, a conversation.

    Goes the way every client goes: through the first endpoint that serves the model. A model that
    is not loaded is started. An empty line or end of file ends a conversation.
    """
    from llmdecl.activate.hands import hands_for
    from llmdecl.activate.talk import Conversation
    from llmdecl.cli.lifecycle import require_current, require_model, require_router
    from llmdecl.cli.views.chat import ask_person, show_answer

    hands = hands_for(where)
    plan = require_current(hands).plan
    chosen = require_model(plan, model)
    door = _door(plan, chosen)
    require_router(hands)
    talk = Conversation(door, chosen.name, task=chosen.task, max_tokens=max_tokens)
    if prompt is not None:
        show_answer(talk.say(prompt))
        return 0
    while said := ask_person(chosen.name):
        show_answer(talk.say(said))
    return 0


def _door(plan: "Plan", model: "ModelPlan") -> "Door":
    """The first endpoint that serves it; a Failure without one."""
    from llmdecl.activate.ask import endpoint_door
    from llmdecl.activate.rules import NO_ENDPOINT
    from llmdecl.diagnostics import Failure

    if model.task not in {"chat", "completion"}:
        raise Failure(
            NO_ENDPOINT.at(
                address_of("models", model.name), f"`{model.name}` is for {model.task}, not chat"
            )
        )
    doors = [
        endpoint_door(endpoint)
        for endpoint in plan.endpoints
        if model.name in endpoint.models and "openai" in endpoint.apis
    ]
    door = next((each for each in doors if each is not None), None)
    if door is None:
        why = "needs an API key that can't be read" if doors else "serves it"
        start = "the endpoint" if doors else "no endpoint"
        raise Failure(
            NO_ENDPOINT.at(address_of("models", model.name), f"{start} {why}: `{model.name}`")
        )
    return door
