"""`llmdecl plan`: what apply would change, and why."""

from pathlib import Path

import click

from llmdecl.cli.context import (
    compile_stack,
    facts_option,
    folder_options,
    require_plan,
    spec_argument,
)
from llmdecl.paths import Folders


@click.command(name="plan")
@spec_argument
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there are changes.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["human", "json"]),
    default="human",
    show_default=True,
    help="How to say it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the plan; `llmdecl apply FILE` carries out just that.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Load every model that is here, one after the other, and compare with its engine's log.",
)
@facts_option
@folder_options
def command(
    spec: Path | None,
    *,
    detailed_exitcode: bool,
    style: str,
    out: Path | None,
    verify: bool,
    facts_file: Path | None,
    where: Folders,
) -> int:
    """Show what apply would change, and why; change nothing.

    Each change has a reason and a consequence: what reloads, what restarts, what is downloaded.
    The table below it is the memory that every model claims while it is loaded; where a model ran
    here before, what it really took stands beside it.
    """
    from llmdecl.activate.hands import check_folders, hands_for
    from llmdecl.activate.saved import save
    from llmdecl.cli.building import unbuilt
    from llmdecl.cli.lifecycle import changes_to, content_of, require_readable
    from llmdecl.cli.verifying_plan import verified
    from llmdecl.cli.views.build import builds_of, show_unbuilt
    from llmdecl.cli.views.changes import show_plan, show_plan_json
    from llmdecl.cli.views.verified import show_verified

    if verify and facts_file is not None:
        raise click.UsageError("`--verify` loads models on this machine, `--facts` is for another")
    check_folders(where)
    stack = compile_stack(spec, where, facts_file=facts_file)
    require_plan(stack)
    content = content_of(stack)
    if facts_file is None:
        require_readable(content, stack.spec)
    current, changes = changes_to(hands_for(where, manager=content.plan.manager), content)
    if out is not None:
        save(out, content, changes, base=current, stack=where.stack)
    checked, problems = verified(content.plan, where) if verify else ((), ())
    if style == "json":
        builds = builds_of(content.lock, where)
        show_plan_json(changes, content.plan, content.facts.measured, checked, builds)
    else:
        show_plan(changes, content.plan, content.facts.measured, saved=out)
        show_unbuilt(unbuilt(content.lock, where))
    show_verified(checked, problems, as_table=style == "human")
    return 2 if detailed_exitcode and changes else 0
