"""Prices, progress and outcomes of builds; engines and their tools."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmdecl.builder.build import Outcome
from llmdecl.builder.price import Price
from llmdecl.builder.progress import BuildProgress
from llmdecl.cli.building import Work, unbuilt
from llmdecl.cli.engine_tools import Found
from llmdecl.cli.views import table
from llmdecl.paths import Folders
from llmdecl.store.built import Manifest
from llmdecl.store.model import Lock
from llmdecl.units import format_bytes
from llmdecl.values import Value

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

EVERY_S = 15.0
"""Time between two lines about one build, where there is no terminal."""

BASIS = {
    "same": "as long as it took here before",
    "others": "by what other builds took here",
    "rule": "by a rule of thumb: nothing was built here yet",
}


class Unbuilt(Value, frozen=True, kw_only=True):
    """An engine that apply would build: `Price`, for programs."""

    engine: str
    input_hash: str
    objects: Mapping[str, int]
    seconds: float
    basis: str
    disk_bytes: int

    @staticmethod
    def of(work: Work, price: Price) -> "Unbuilt":
        """As `plan --format json` has it."""
        return Unbuilt(
            engine=work.name,
            input_hash=work.order.recipe.input_hash,
            objects=price.objects,
            seconds=price.seconds,
            basis=price.basis,
            disk_bytes=price.disk_bytes,
        )


def builds_of(lock: Lock, where: Folders) -> tuple[Unbuilt, ...]:
    """All of them."""
    return tuple(Unbuilt.of(work, price) for work, price in unbuilt(lock, where))


def show_nothing(spec: Path) -> None:
    """That the spec has no engine of source."""
    click.echo(f"{spec}: no engine is built of source")


def show_price(work: Work, price: Price | None, *, twice: bool = False) -> None:
    """What a build takes, or that there is nothing to build."""
    recipe = work.order.recipe
    words = " ".join((recipe.version, *(recipe.backends or ("cpu",)), *recipe.architectures))
    if price is None:
        click.echo(f"= {work.name}  llama.cpp {words}: same inputs, already built; reused")
        return
    click.secho(f"+ {work.name}  llama.cpp {words}", fg="green")
    rows = [["sources", _source(work, price)], ["objects", _objects(price)]]
    rows.append(["time", f"{'2 x ' if twice else ''}{_minutes(price)}"])
    rows.append(["disk", f"up to {format_bytes(price.disk_bytes)} while it is built"])
    for line in table.lines(rows, indent="    "):
        click.echo(line)


def price_line(work: Work, price: Price) -> str:
    """The same in a line, for a plan."""
    return (
        f"{work.name} is not built yet: {_objects(price)}, {_minutes(price)}, "
        f"up to {format_bytes(price.disk_bytes)} of disk"
    )


def show_unbuilt(prices: Sequence[tuple[Work, Price]]) -> None:
    """What apply would build first."""
    for work, price in prices:
        click.echo(f"\n{price_line(work, price)}")


def _source(work: Work, price: Price) -> str:
    if price.source_bytes is not None:
        return f"{work.order.recipe.archive.origin}, {format_bytes(price.source_bytes)}"
    archive = format_bytes(work.order.recipe.archive.size_bytes)
    here = "" if work.source_here else ", to be fetched"
    return f"{work.order.recipe.archive.origin}, an archive of {archive}{here}"


def _objects(price: Price) -> str:
    parts = ", ".join(f"{count} {language}" for language, count in price.objects.items())
    total = sum(price.objects.values())
    return f"{total} objects ({parts})" if price.counted else f"about {total} objects ({parts})"


def _minutes(price: Price) -> str:
    jobs = f"{price.jobs} job{'s' if price.jobs > 1 else ''}"
    if price.seconds < 60:
        return f"less than a minute with {jobs} ({BASIS[price.basis]})"
    return f"about {price.seconds / 60:.0f} minutes with {jobs} ({BASIS[price.basis]})"


def show_outcome(work: Work, outcome: Outcome, *, checked: bool) -> None:
    """That it is built, or what two builds have in common; warnings."""
    if outcome.problems:
        from llmdecl.cli.views.diagnostics import show

        show(outcome.problems)
    if outcome.differences:
        return
    took = f" in {_taken(outcome.seconds)}" if outcome.seconds is not None else ""
    if checked:
        click.secho(
            f"{work.name}: two builds{took}, {outcome.compared} files compared, all identical",
            fg="green",
        )
        return
    done = f"built{took}" if outcome.seconds is not None else "already built"
    manifest = outcome.manifest
    size = f", {_size(manifest)}" if manifest else ""
    click.secho(f"{work.name}: {done}{size}: {outcome.folder}", fg="green")


def _size(manifest: Manifest) -> str:
    total = sum(file.size_bytes for file in manifest.files)
    return f"{len(manifest.tools)} tools, {len(manifest.files)} files, {format_bytes(total)}"


def _taken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def show_engines(found: Sequence[Found]) -> None:
    """A table."""
    rows = [
        [
            each.name,
            each.provider,
            each.what,
            "here" if each.here else "not here",
            ", ".join(each.tools),
        ]
        for each in found
    ]
    table.show(["engine", "provider", "what", "", "tools"], rows)


@contextmanager
def build_progress() -> Iterator[BuildProgress]:
    """A bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[path]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Terminal(bars)


class Terminal:
    """One bar for the step that is under way."""

    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def step(self, item: str, what: str) -> None:
        """A new bar."""
        self.finished()
        self._task = self._bars.add_task(f"{item}: {what}", total=None, path="")

    def objects(self, done: int, total: int, path: str) -> None:
        """Move it."""
        if self._task is not None:
            name = path.rpartition("/")[2]
            self._bars.update(self._task, completed=done, total=total, path=name)

    def finished(self) -> None:
        """Take it away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


class Lines:
    """A line a step, and every now and then one about objects."""

    def __init__(self) -> None:
        self._item, self._last, self._began = "", 0.0, 0.0

    def step(self, item: str, what: str) -> None:
        """The line."""
        self._item, self._last = item, time.monotonic()
        self._began = self._last
        print(f"{item}: {what}", file=sys.stderr, flush=True)

    def objects(self, done: int, total: int, path: str) -> None:
        """A line now and then, with the time left."""
        now = time.monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            left = (now - self._began) / done * (total - done)
            text = f"{self._item}: {done} of {total} objects, {_taken(left)} left; {path}"
            print(text, file=sys.stderr, flush=True)

    def finished(self) -> None:
        """Nothing."""
