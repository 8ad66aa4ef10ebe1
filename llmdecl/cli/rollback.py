"""`llmdecl rollback`: an earlier generation is in force again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import folder_options
from llmdecl.cli.lifecycle import yes_option
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.activate.generations import Generation
    from llmdecl.activate.hands import Hands


@click.command(name="rollback")
@click.argument("number", required=False, type=click.IntRange(min=1), metavar="[N]")
@yes_option
@folder_options
def command(number: int | None, *, yes: bool, where: Folders) -> int:
    """Return to generation N; without N, to the one before the current one.

    After an interrupted change, rollback without N returns to the current generation.
    """
    from llmdecl.activate.apply import rollback
    from llmdecl.activate.diff import diff
    from llmdecl.activate.exclusive import exclusive
    from llmdecl.activate.hands import check_folders, hands_for
    from llmdecl.activate.observe import observe, version_in_force
    from llmdecl.cli.lifecycle import confirm, spec_from, supply
    from llmdecl.cli.views.changes import say, show_applied, show_changes

    check_folders(where)
    with exclusive(where.state, "rollback"):
        hands = hands_for(where, say=say)
        current = hands.generations.load_pointed("current")
        goal = _goal(hands, number, current)
        hands = hands_for(where, say=say, manager=goal.plan.manager)
        hands.generations.require_intact(goal)
        planned = version_in_force(goal)
        assert planned is not None
        live = observe(hands, [goal.plan, *([current.plan] if current else [])])
        changes = diff(version_in_force(current), planned, live)
        show_changes(changes)
        if changes or (current is not None and goal.number != current.number):
            confirm(f"Return to generation {goal.number}?", yes=yes)
            supply(
                spec_from(goal.spec_file()), goal.lock(), Path(goal.manifest.origin).parent, where
            )
            show_applied(goal, rollback(hands, goal))
    return 0


def _goal(hands: "Hands", number: int | None, current: "Generation | None") -> "Generation":
    """Which generation is meant; a Failure when there is none."""
    from llmdecl.activate.rules import NO_GENERATION
    from llmdecl.diagnostics import Failure

    if number is not None:
        return hands.generations.load(number)
    left = hands.journal.read()
    interrupted = left is not None or hands.generations.pointer("wanted") != (
        current.number if current else None
    )
    if current is not None and interrupted:
        return current
    before = [n for n in hands.generations.numbers() if current is None or n < current.number]
    if not before:
        raise Failure(NO_GENERATION.at("state", "there is no earlier generation"))
    return hands.generations.load(before[-1])
