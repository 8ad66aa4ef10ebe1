"""`llmdecl explain`: a diagnostic's page, or which rule produced each flag of a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.cli.context import (
    compile_stack,
    facts_option,
    folder_options,
    require_plan,
    spec_argument,
)
from llmdecl.paths import Folders

if TYPE_CHECKING:
    from llmdecl.diagnostics import Rule
    from llmdecl.plan.model import ModelPlan, Plan


@click.command(name="explain")
@click.argument("what", metavar="MODEL|CODE")
@spec_argument
@click.option("--json", "as_json", is_flag=True, help="As versioned JSON.")
@facts_option
@folder_options
def command(
    what: str, *, spec: Path | None, as_json: bool, facts_file: Path | None, where: Folders
) -> int:
    """Say which rule produced each flag of a model, or what a code means.

    MODEL is a name or an alias of the spec; CODE is a diagnostic's code (LD314) or name.
    """
    from llmdecl.cli.views.explain import show_model, show_rule
    from llmdecl.rules import RULES

    rule = find_rule(what, RULES)
    if rule is not None:
        show_rule(rule, as_json=as_json)
        return 0
    stack = compile_stack(spec, where, facts_file=facts_file)
    require_plan(stack)
    assert stack.compiled.plan is not None
    show_model(find_model(what, stack.compiled.plan), as_json=as_json)
    return 0


def find_rule(what: str, rules: "Mapping[str, Rule]") -> "Rule | None":
    """The rule with this code, in either case, or this name."""
    by_name = {rule.name: rule for rule in rules.values()}
    return rules.get(what.upper()) or by_name.get(what)


def find_model(what: str, plan: "Plan") -> "ModelPlan":
    """The model with this name or alias; a usage error that names the nearest one."""
    from difflib import get_close_matches

    names = {alias: model for model in plan.models for alias in model.aliases}
    names |= {model.name: model for model in plan.models}
    if what in names:
        return names[what]
    near = get_close_matches(what, names, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise click.UsageError(f"`{what}` is neither a model of this spec nor a code.{hint}")
