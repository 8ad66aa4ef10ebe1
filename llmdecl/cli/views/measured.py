"""Estimate against measurement."""

from collections.abc import Iterator, Mapping

import click

from llmdecl.cli.views import table
from llmdecl.measured import Measured
from llmdecl.plan.model import ModelPlan, Plan
from llmdecl.units import format_bytes, format_duration
from llmdecl.values import Value


class Comparison(Value, frozen=True, kw_only=True):
    """One model in one pool: planned and measured bytes of the parts that an engine's log shows.

    Mapped weights are not among them: of these a log says what of the file is mapped, not what is
    read. `load_s` is the longest load.
    """

    model: str
    pool: str
    planned_bytes: int
    measured_bytes: int
    load_s: float


def comparisons(plan: Plan, measured: Mapping[str, Measured]) -> tuple[Comparison, ...]:
    """Every model that ran here as it is planned now, in every pool."""
    return tuple(
        row
        for model in plan.models
        if (known := measured.get(model.digest)) is not None
        for row in _of(model, known)
    )


def _of(model: ModelPlan, known: Measured) -> Iterator[Comparison]:
    mapped = {(part.pool, part.part) for part in model.memory if part.shared is not None}
    real = {(p.pool, p.part): p.bytes for p in known.parts if (p.pool, p.part) not in mapped}
    names = {part for _, part in real}
    planned: dict[str, int] = {}
    for part in model.memory:
        if part.part in names and (part.pool, part.part) not in mapped:
            planned[part.pool] = planned.get(part.pool, 0) + part.bytes
    for pool in sorted({pool for pool, _ in real}, key=lambda pool: (pool != "host", pool)):
        yield Comparison(
            model=model.name,
            pool=pool,
            planned_bytes=planned.get(pool, 0),
            measured_bytes=sum(size for (where, _), size in real.items() if where == pool),
            load_s=known.load_s,
        )


def show_measured(rows: tuple[Comparison, ...]) -> None:
    """A table; nothing when nothing ran yet."""
    if not rows:
        return
    click.echo()
    head = ["measured here", "pool", "planned", "measured", "", "load"]
    cells = [
        [
            row.model,
            row.pool,
            format_bytes(row.planned_bytes),
            format_bytes(row.measured_bytes),
            _difference(row),
            format_duration(row.load_s),
        ]
        for row in rows
    ]
    table.show(head, cells, right=(2, 3, 4, 5))


def _difference(row: Comparison) -> str:
    if not row.planned_bytes:
        return ""
    share = (row.measured_bytes - row.planned_bytes) / row.planned_bytes
    return f"{100 * share:+.1f} %"
