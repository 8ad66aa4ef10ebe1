"""What fits, as tables with bars or as JSON."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from llmdecl.cli.fitting import Fit
from llmdecl.facts.gguf_values import printable
from llmdecl.plan.fit import Cell, ModelFit, Row
from llmdecl.plan.model import PlacementPlan
from llmdecl.units import format_bytes
from llmdecl.values import to_json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

BAR = 8
"""Characters of a bar; eighths of one are drawn."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_BAR_LINE = BAR + len(" 1023.9 MiB")
_CELL = 28
"""Most characters of a cell: of wider screens' columns nothing is gained."""


def show_fit_json(fit: Fit) -> None:
    """`fit --json`, schema 1; sizes in bytes."""
    click.echo(to_json(_report(fit)), nl=False)


def _report(fit: Fit) -> dict[str, object]:
    return {
        "schema": 1,
        "devices": [
            {"id": device.id, "backend": device.backend, "name": device.name}
            for device in fit.devices
        ],
        "pools": [
            {
                "pool": budget.pool,
                "total_bytes": budget.total_bytes,
                "margin_bytes": budget.margin_bytes,
                "bytes": budget.bytes,
            }
            for budget in fit.budgets
        ],
        "models": [_model(model) for model in fit.models],
        "diagnostics": list(fit.diagnostics),
    }


def _model(model: ModelFit) -> dict[str, object]:
    return {
        "name": model.name,
        "title": model.title,
        "architecture": model.architecture,
        "n_ctx_train": model.n_ctx_train,
        "parallel": model.parallel,
        "cache_type_k": model.cache_type_k,
        "cache_type_v": model.cache_type_v,
        "contexts": model.contexts,
        "quantizations": [
            {
                "file_type": row.file_type,
                "source": row.source,
                "computed": row.computed,
                "size_bytes": row.size_bytes,
                "cells": [_cell(cell) for cell in row.cells],
            }
            for row in model.rows
        ],
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "ctx_size": cell.ctx_size,
        "fits": cell.fits,
        "kind": cell.kind,
        "placement": cell.placement,
        "left_bytes": cell.left_bytes,
        "pools": {
            use.pool: {"bytes": use.bytes, "left_bytes": use.left_bytes} for use in cell.pools
        },
        "scarcest": cell.scarcest.pool,
        "problem": cell.problem,
    }


def show_fit(fit: Fit) -> None:
    """A table a model; problems below."""
    from rich.console import Console

    console = Console(highlight=False)
    if fit.models:
        for line in _machine(fit):
            console.print(line, soft_wrap=True)
    for model in fit.models:
        console.print()
        console.print(_title(model), soft_wrap=True)
        columns = max(1, (console.width - _head_width(model)) // (_cell_width(model) + 2))
        for first in range(0, len(model.contexts), columns):
            console.print(_table(model, range(first, min(first + columns, len(model.contexts)))))
    notes = list(_notes(fit))
    if notes:
        console.print()
        console.print("\n".join(notes), soft_wrap=True)
    if fit.diagnostics:
        from llmdecl.cli.views.diagnostics import show

        show(fit.diagnostics)


def _notes(fit: Fit) -> Iterator[str]:
    """What the signs mean that occur."""
    rows = [row for model in fit.models for row in model.rows]
    placements = [cell.placement for row in rows for cell in row.cells if cell.fits]
    if rows:
        yield "a bar is the fullest pool, the number is the least that a pool has left"
    if any(row.computed for row in rows):
        yield "~: not here or not read, its tensor types worked out as llama-quantize chooses them"
    if any(0 < each.n_gpu_layers < each.n_layers for each in placements):
        yield "20 of 33: so many layers are on devices, the others on the CPU"
    if any(each.n_cpu_moe and each.n_gpu_layers >= each.n_layers for each in placements):
        yield "12 experts CPU: the experts of the first 12 blocks are on the CPU"


def _machine(fit: Fit) -> Iterator[str]:
    backends = {device.id: device.backend for device in fit.devices}
    for budget in fit.budgets:
        kind = f" ({backends[budget.pool]})" if budget.pool in backends else ""
        free = format_bytes(max(0, budget.bytes))
        yield printable(
            f"{budget.pool}{kind}: {free} of {format_bytes(budget.total_bytes)} for models"
        )


def _title(model: ModelFit) -> "Text":
    from rich.text import Text

    slots = "1 slot" if model.parallel == 1 else f"{model.parallel} slots"
    caches = dict.fromkeys((model.cache_type_k, model.cache_type_v))
    trained = f", trained for {tokens(model.n_ctx_train)}" if model.n_ctx_train else ""
    text = Text(printable(model.name), style="bold")
    text.append(f"  {slots}, cache {'/'.join(caches)}{trained}", style="default not bold")
    return text


def tokens(count: int) -> str:
    """`131072` as `128k`, `2000` as it is."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else str(count)


def _table(model: ModelFit, columns: Sequence[int]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True, min_width=_head_width(model) - 2)
    for column in columns:
        table.add_column(tokens(model.contexts[column]), no_wrap=True, min_width=_cell_width(model))
    for row in model.rows:
        head = Text(_name(row), style="dim" if row.computed else "bold")
        head.append(f"\n  {format_bytes(row.size_bytes)}", style="dim not bold")
        table.add_row(head, *(_drawn(row.cells[column]) for column in columns))
    return table


def _name(row: Row) -> str:
    return f"~{row.file_type}" if row.computed else f" {printable(row.file_type)}"


def _head_width(model: ModelFit) -> int:
    return max(len(_name(row)) for row in model.rows) + 4 if model.rows else 12


def _cell_width(model: ModelFit) -> int:
    cells = (cell for row in model.rows for cell in row.cells)
    return max(_BAR_LINE, *(min(_CELL, len(where(cell))) for cell in cells))


def _drawn(cell: Cell) -> "Text":
    """Where it goes; below it how full the scarcest pool is, and what is left."""
    from rich.text import Text

    if not cell.fits:
        lacks = format_bytes(max(0, -cell.left_bytes))
        return Text("-\nrefused" if cell.problem else f"-\nlacks {lacks}", style="red")
    text = Text(where(cell)[:_CELL], style="green" if cell.kind in ("one", "split") else "yellow")
    text.append(f"\n{bar(cell.scarcest.full)} {format_bytes(cell.left_bytes)}", style="default")
    return text


def where(cell: Cell) -> str:
    """`gpu0`, `gpu0+gpu1`, `gpu0, 12 experts CPU`, `gpu0, 20 of 33`, `CPU`; `-` does not fit."""
    return placed(cell.placement) if cell.fits else "-"


def placed(placement: PlacementPlan) -> str:
    """Where a model goes, in few words."""
    if not placement.devices or not placement.n_gpu_layers:
        return "CPU"
    names = "+".join(placement.devices)
    layers = min(placement.n_gpu_layers, placement.n_layers)
    if layers < placement.n_layers:
        return f"{names}, {layers} of {placement.n_layers}"
    if placement.n_cpu_moe:
        return f"{names}, {placement.n_cpu_moe} experts CPU"
    return names


def bar(share: float) -> str:
    """A share between 0 and 1 as a bar of `BAR` characters."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR * 8)
    whole, rest = divmod(eighths, 8)
    text = "█" * whole + (_EIGHTHS[rest] if rest else "")
    return text.ljust(BAR, "·")
