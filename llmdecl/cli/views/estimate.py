"""An estimate as a table or as JSON."""

from collections.abc import Sequence

import click

from llmdecl.cli.estimating import Estimate, Measured
from llmdecl.cli.views import table
from llmdecl.memory.allocations import PlaceBytes
from llmdecl.memory.model import HOST
from llmdecl.units import format_bytes
from llmdecl.values import to_json

FIELDS = ("weights", "kv_cache", "recurrent", "output", "compute", "total")
HEADS = ("", "weights", "KV cache", "recurrent", "output", "compute", "total", "of")


def sizes_of(place: PlaceBytes) -> dict[str, int]:
    """The fields of one place."""
    return {
        "weights": place.weights + place.repacked,
        "kv_cache": place.kv_cache,
        "recurrent": place.recurrent,
        "output": place.output,
        "compute": place.compute,
        "total": place.total,
    }


def show_estimate_json(estimate: Estimate, measured: Measured | None = None) -> None:
    """`estimate --json`, schema 1; sizes in bytes, as llama.cpp reports them at load."""
    gguf, sizes = estimate.gguf, estimate.sizes
    report: dict[str, object] = {
        "schema": 1,
        "model": {
            "file": estimate.file,
            "architecture": gguf.architecture if gguf else None,
            "name": gguf.name if gguf else None,
            "file_type": gguf.file_type if gguf else None,
            "n_layers": sizes.n_layers if sizes else None,
        },
        "diagnostics": list(estimate.diagnostics),
    }
    if sizes is not None and estimate.run is not None:
        backends = {name: backend for name, backend, _ in estimate.devices}
        report |= {
            "devices": [
                {"id": place.place, "backend": backends[place.place], **sizes_of(place)}
                for place in sizes.places
                if place.place != HOST
            ],
            "host": {"id": HOST, "backend": "cpu", **sizes_of(sizes.host)},
            "companions": [
                {"role": c.role, "file": c.file, "bytes": dict(c.places)}
                for c in estimate.companions
            ],
            "exact": list(estimate.exact),
            "fusions": {place.place: place.fusions for place in sizes.places if place.fusions},
            "fits": estimate.fits,
            "n_ctx": estimate.run.n_ctx,
            "flash_attn": sizes.flash_attn,
            "pipeline_parallel": sizes.pipeline,
            "offloaded_layers": sizes.layers_on_devices,
        }
        if measured is not None:
            report["measured"] = measured
    click.echo(to_json(report), nl=False)


def show_estimate(estimate: Estimate, measured: Measured | None = None) -> None:
    """A row a place; rows of what the engine reported below, where it was asked."""
    from llmdecl.cli.views.diagnostics import show

    if estimate.sizes is not None and estimate.run is not None:
        table.show(HEADS, list(_rows(estimate, measured)), right=range(1, 8))
        for line in _notes(estimate):
            click.echo(line)
    if estimate.diagnostics:
        show(estimate.diagnostics)


def _rows(estimate: Estimate, measured: Measured | None) -> Sequence[Sequence[str]]:
    assert estimate.sizes is not None
    memory = {name: size for name, _, size in estimate.devices}
    rows = []
    for place in estimate.sizes.places:
        sizes = sizes_of(place)
        limit = format_bytes(memory[place.place]) if place.place in memory else ""
        rows.append([place.place, *(_size(sizes[field]) for field in FIELDS), limit])
        if measured is not None:
            seen = measured.get(place.place, {})
            rows.append(["  measured", *(_size(seen.get(field, 0)) for field in FIELDS), ""])
        if place.fusions:
            rows.append(["  kept for fusions", *[""] * 4, "", _size(place.fusions), ""])
    for companion in estimate.companions:
        for name, size in companion.places:
            if size:
                rows.append([f"{companion.role} on {name}", *[""] * 5, _size(size), ""])
    return rows


def _size(value: int) -> str:
    return format_bytes(value) if value else "-"


def _notes(estimate: Estimate) -> Sequence[str]:
    sizes, run = estimate.sizes, estimate.run
    assert sizes is not None
    assert run is not None
    flash = "on" if sizes.flash_attn else "off"
    lines = [f"context {run.n_ctx}, {run.n_seq_max} slots, flash attention {flash}"]
    if estimate.devices:
        lines[0] += f", {sizes.layers_on_devices} of {sizes.n_layers} layers on devices"
        if sizes.pipeline:
            lines[0] += ", pipeline parallelism"
        lines.append("fits" if estimate.fits else "does not fit")
    inexact = [name for name in FIELDS if name not in estimate.exact]
    if inexact:
        lines.append(f"bounds, not exact: {', '.join(inexact)}")
    return lines
