"""Changes, the memory ledger, and what apply says on its way."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from llmdecl.activate.changes import Change, ChangeSet, Symbol
from llmdecl.activate.generations import Generation
from llmdecl.cli.verifying_plan import Verified
from llmdecl.cli.views import table
from llmdecl.cli.views.build import Unbuilt
from llmdecl.cli.views.measured import Comparison, comparisons, show_measured
from llmdecl.cli.views.residency import show_residency
from llmdecl.diagnostics import Diagnostic
from llmdecl.measured import Measured
from llmdecl.memory.estimate import total_bytes
from llmdecl.plan.model import Budget, MemoryPart, Plan, Residency
from llmdecl.units import format_bytes
from llmdecl.values import Value, to_json

COLOURS: Mapping[Symbol, str] = {
    Symbol.ADD: "green",
    Symbol.EDIT: "yellow",
    Symbol.REMOVE: "red",
    Symbol.DRIFT: "magenta",
}


class ModelLedger(Value, frozen=True, kw_only=True):
    """A model's claims on a pool, in bytes."""

    name: str
    parts: tuple[MemoryPart, ...]
    total_bytes: int


class Ledger(Value, frozen=True, kw_only=True):
    """One pool: the host, or a device with what its maker calls it; `models` are those on it."""

    pool: str
    name: str = ""
    total_bytes: int
    margin_bytes: int
    budget_bytes: int
    models: tuple[ModelLedger, ...]


class PlanReport(Value, frozen=True, kw_only=True):
    """`plan --format json`."""

    schema: int = 1
    changes: tuple[Change, ...]
    restarts: tuple[str, ...]
    memory: tuple[Ledger, ...]
    residency: Residency
    measured: tuple[Comparison, ...] = ()
    verified: tuple[Verified, ...] = ()
    builds: tuple[Unbuilt, ...] = ()


def show_changes(changes: ChangeSet) -> None:
    """One line a change; consequences to the right, or below when it gets too wide."""
    if not changes:
        click.echo("no changes")
        return
    cells = [[f"{c.symbol.value} {c.address}", c.reason, c.consequence] for c in changes.changes]
    width = max(len(cell[0]) for cell in cells)
    reason = max(len(cell[1]) for cell in cells)
    wide = width + reason + max(len(cell[2]) for cell in cells) + 4 > 150
    for change, cell in zip(changes.changes, cells, strict=True):
        click.secho(cell[0].ljust(width), fg=COLOURS[change.symbol], nl=False)
        if wide:
            click.echo(f"  {cell[1]}")
            click.secho(f"    {cell[2]}", dim=True)
        else:
            click.echo(f"  {cell[1].ljust(reason)}  {click.style(cell[2], dim=True)}")
    click.echo(_summary(changes))


def _summary(changes: ChangeSet) -> str:
    words = {
        Symbol.ADD: "to add",
        Symbol.EDIT: "to edit",
        Symbol.REMOVE: "to remove",
        Symbol.DRIFT: "drifted",
    }
    counts = Counter(change.symbol for change in changes.changes)
    told = ", ".join(f"{counts[symbol]} {text}" for symbol, text in words.items() if counts[symbol])
    restarts = ", ".join(changes.restarts) or "none"
    return f"{told}; running models that restart or stop: {restarts}"


def show_plan(
    changes: ChangeSet, plan: Plan, measured: Mapping[str, Measured], *, saved: Path | None
) -> None:
    """Changes, then a table of memory for each pool, what was measured of it, and who may be
    loaded together."""
    show_changes(changes)
    for pool in _ledgers(plan):
        click.echo()
        _show_ledger(pool)
    show_measured(comparisons(plan, measured))
    show_residency(plan)
    if saved is not None:
        click.echo(f"\nsaved; `llmdecl apply {saved}` does just this")


def show_plan_json(
    changes: ChangeSet,
    plan: Plan,
    measured: Mapping[str, Measured] | None = None,
    verified: tuple[Verified, ...] = (),
    builds: tuple[Unbuilt, ...] = (),
) -> None:
    """The same for programs; `builds` come before anything starts."""
    report = PlanReport(
        changes=changes.changes,
        restarts=changes.restarts,
        memory=_ledgers(plan),
        residency=plan.residency,
        measured=comparisons(plan, measured or {}),
        verified=verified,
        builds=builds,
    )
    click.echo(to_json(report).decode(), nl=False)


def _ledgers(plan: Plan) -> tuple[Ledger, ...]:
    return tuple(_ledger(plan, budget) for budget in plan.budgets)


def _ledger(plan: Plan, budget: Budget) -> Ledger:
    models: list[ModelLedger] = []
    for model in plan.models:
        parts = tuple(part for part in model.memory if part.pool == budget.pool)
        total = total_bytes(parts, budget.pool)
        if parts or budget.pool == "host":
            models.append(ModelLedger(name=model.name, parts=parts, total_bytes=total))
    return Ledger(
        pool=budget.pool,
        name=next((d.name for d in plan.devices if d.id == budget.pool), ""),
        total_bytes=budget.total_bytes,
        margin_bytes=budget.margin_bytes,
        budget_bytes=budget.bytes,
        models=tuple(models),
    )


def _show_ledger(pool: Ledger) -> None:
    """A model a row, a part a column; `~` marks a bound."""
    names = list(dict.fromkeys(p.part for model in pool.models for p in model.parts))
    rows = []
    for model in pool.models:
        cells = [_cell([p for p in model.parts if p.part == name]) for name in names]
        rows.append([model.name, *cells, format_bytes(model.total_bytes)])
    what = f"{pool.pool}, {pool.name}" if pool.name not in ("", pool.pool) else pool.pool
    head = [f"memory of {what}", *(name.replace("_", " ") for name in names), "total"]
    table.show(head, rows, right=range(1, len(head)))
    both = total_bytes([part for model in pool.models for part in model.parts], pool.pool)
    click.echo(
        f"for models: {format_bytes(pool.budget_bytes)}"
        f" ({format_bytes(pool.total_bytes)} less a margin of {format_bytes(pool.margin_bytes)});"
        f" all loaded at once: {format_bytes(both)}"
        + ("" if both <= pool.budget_bytes else ", so they take turns")
    )


def _cell(parts: list[MemoryPart]) -> str:
    if not parts:
        return ""
    mark = "" if all(part.exact for part in parts) else "~"
    return mark + format_bytes(sum(part.bytes for part in parts))


def say(text: str) -> None:
    """A step that apply is about to take."""
    click.secho(f"  {text}", dim=True, err=True)


def show_applied(generation: Generation, warnings: Iterable[Diagnostic]) -> None:
    """That it worked."""
    found = tuple(warnings)
    if found:
        from llmdecl.cli.views.diagnostics import show

        show(found)
    click.secho(f"generation {generation.number} is in force", fg="green")


def show_done(model: str, what: str) -> None:
    """That a verb did what its name says."""
    click.echo(f"{model} is {what}")


def show_down(*, was_up: bool) -> None:
    """That nothing runs."""
    click.echo("everything is stopped" if was_up else "nothing runs")
