"""`llmdecl apply`: carry out what plan shows."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import (
    compile_stack,
    folder_options,
    load_valid_spec,
    require_plan,
    spec_argument,
)
from llmdecl.cli.lifecycle import yes_option
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.activate.changes import ChangeSet
    from llmdecl.activate.generations import Content
    from llmdecl.activate.hands import Hands
    from llmdecl.spec.schema import Spec


@click.command(name="apply")
@spec_argument
@yes_option
@folder_options
def command(spec: Path | None, *, yes: bool, where: Folders) -> int:
    """Carry out what `llmdecl plan` shows, wait for health, go back on failure.

    SPEC may be a plan saved by `llmdecl plan --out`; then just that is done, or nothing if the
    stack has changed since. Done means: the router answers with the new configuration, and every
    startup model, and every model that was restarted, has answered a request.
    """
    from llmdecl.activate.exclusive import exclusive
    from llmdecl.activate.hands import check_folders
    from llmdecl.activate.saved import is_saved_plan
    from llmdecl.cli.views.changes import show_changes

    saved = spec is not None and spec.is_file() and is_saved_plan(spec)
    check_folders(where)
    with exclusive(where.state, "apply"):
        hands, content, valid, changes = (
            _saved(spec, where) if saved and spec else _compiled(spec, where)
        )
        show_changes(changes)
        if changes:
            _carry_out(hands, content, valid, yes=yes)
    return 0


def _compiled(spec: Path | None, where: Folders) -> "tuple[Hands, Content, Spec, ChangeSet]":
    from llmdecl.cli.lifecycle import changes_to, content_of, require_readable

    stack = compile_stack(spec, where)
    require_plan(stack)
    content = content_of(stack)
    require_readable(content, stack.spec)
    hands = _hands(where, content)
    return hands, content, stack.spec, changes_to(hands, content)[1]


def _hands(where: Folders, content: "Content") -> "Hands":
    """Those of the manager that the plan asks for."""
    from llmdecl.activate.hands import hands_for
    from llmdecl.cli.views.changes import say

    hands = hands_for(where, say=say, manager=content.plan.manager)
    hands.manager.require_able(artefact.path for artefact in content.artefacts)
    return hands


def _saved(path: Path, where: Folders) -> "tuple[Hands, Content, Spec, ChangeSet]":
    """A saved plan, if the stack is still what it was made for."""
    import tempfile

    from llmdecl.activate.saved import load, require_same
    from llmdecl.cli.lifecycle import changes_to

    plan = load(path)
    content = plan.content()
    hands = _hands(where, content)
    current, changes = changes_to(hands, content)
    require_same(plan, current, changes, hands.folders.stack)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / plan.spec_name
        text.write_bytes(content.spec_text)
        return hands, content, load_valid_spec(text)[1], changes


def _carry_out(hands: "Hands", content: "Content", spec: "Spec", *, yes: bool) -> None:
    from llmdecl.activate.apply import apply
    from llmdecl.activate.routers import require_runnable
    from llmdecl.cli.building import unbuilt
    from llmdecl.cli.lifecycle import confirm, supply
    from llmdecl.cli.views.build import show_unbuilt
    from llmdecl.cli.views.changes import show_applied
    from llmdecl.store.sharing import in_use

    require_runnable(content.plan)
    show_unbuilt(unbuilt(content.lock, hands.folders))
    confirm("Apply these changes?", yes=yes)
    with in_use(hands.folders.store):  # a saved plan's lock counts when its generation is stored
        supply(spec, content.lock, Path(content.origin).parent, hands.folders)
        generation, warnings = apply(hands, content)
    show_applied(generation, warnings)
