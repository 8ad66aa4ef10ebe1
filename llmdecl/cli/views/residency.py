"""Which models may be loaded together, as a table."""

from collections.abc import Sequence

import click

from llmdecl.cli.views import table
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.model import Plan, ResidencyGroup
from llmdecl.units import format_bytes

MOST_ROWS = 20
"""Of one group; `--format json` has them all."""


def show_residency(plan: Plan) -> None:
    """One row a set, with what it claims of each pool; nothing for a stack of one model."""
    if len(plan.models) < 2:
        return
    found = plan.residency
    free = [name for group in found.groups if len(group.sets) == 1 for name in group.sets[0]]
    choices = [group for group in found.groups if len(group.sets) > 1]
    click.echo()
    if not choices and found.without_startup is None and not _rest(plan, free):
        click.echo("all models may be loaded at the same time")
        return
    rows = []
    if found.permanent:
        rows.append(_row(plan, "always", found.permanent))
    if free:
        rows.append(_row(plan, "whenever wanted", sorted(free)))
    for group in choices:
        rows += _rows(plan, "one of" if not found.permanent and not free else "and one of", group)
    if found.without_startup is not None:
        rows += _rows(plan, "once idle ones are gone", found.without_startup)
    pools = [budget.pool for budget in plan.budgets]
    table.show(["loaded together", "", *pools], rows, right=range(2, len(pools) + 2))
    if not found.complete:
        click.echo("too many sets to list; any two models that fit are together in one of these")


def _rest(plan: Plan, free: Sequence[str]) -> set[str]:
    """Models that are neither permanent nor loaded whenever they are wanted."""
    return {model.name for model in plan.models} - {*free, *plan.residency.permanent}


def _rows(plan: Plan, word: str, group: ResidencyGroup) -> list[list[str]]:
    shown = group.sets[:MOST_ROWS]
    rows = [_row(plan, word if i == 0 else "", names) for i, names in enumerate(shown)]
    more = len(group.sets) - len(shown)
    if more:
        rows.append(["", f"and {more} more", *("" for _ in plan.budgets)])
    return rows


def _row(plan: Plan, word: str, names: Sequence[str]) -> list[str]:
    parts = [part for model in plan.models if model.name in names for part in model.memory]
    sums = (total_bytes(parts, budget.pool) for budget in plan.budgets)
    return [word, ", ".join(names), *(format_bytes(size) if size else "" for size in sums)]
