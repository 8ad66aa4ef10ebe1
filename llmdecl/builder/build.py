"""From a recipe and a tree to an entry of the store, or to two builds that are compared.

An entry appears by one rename when it is finished, has run, and is on disk. Whoever is killed
leaves a work place that the next one sweeps. One process at a time builds an entry; a second one
waits and finds it done.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmdecl.builder import rules, site, steps, toolchain
from llmdecl.builder.compare import Difference, compare
from llmdecl.builder.price import (
    Price,
    Timing,
    default_jobs,
    keep_timing,
    price,
    read_timings,
    typical,
)
from llmdecl.builder.progress import BuildProgress, SilentBuild
from llmdecl.builder.site import Site
from llmdecl.diagnostics import Diagnostic, Failure
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.facts.model import DeviceFacts
from llmdecl.store.built import Manifest, built_problem, read_manifest
from llmdecl.store.jobs import of_system
from llmdecl.store.layout import built_folder
from llmdecl.store.rules import STORE_FULL
from llmdecl.store.store import Store
from llmdecl.units import format_bytes

Trees = Callable[[Path], Path]
"""Puts llama.cpp's tree below an empty folder and says where its CMakeLists.txt is."""
Probe = Callable[[Path], tuple[Diagnostic, ...]]
"""Runs a finished program and says what is wrong with it; a Failure when it does not run."""


@dataclass(frozen=True, slots=True)
class Order:
    """One engine to build. `enclosed` is None for: where that is possible."""

    name: str
    recipe: BuildRecipe
    tree: Trees
    probe: Probe = lambda _: ()
    jobs: int | None = None
    enclosed: bool | None = None
    devices: tuple[DeviceFacts, ...] = ()
    """What it is to run on."""

    @property
    def address(self) -> str:
        """Its table in the spec."""
        return f"engines.{self.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`seconds` is None for one that was built before; `differences` are of a check, in which
    `compared` files were compared."""

    folder: Path
    manifest: Manifest | None
    log: Path
    problems: tuple[Diagnostic, ...] = ()
    seconds: float | None = None
    differences: tuple[Difference, ...] = ()
    compared: int = 0


class Builder:
    """Builds into `store`; logs, timings and ccache's files are below `cache`."""

    def __init__(self, store: Store, cache: Path, tell: BuildProgress | None = None) -> None:
        self._store, self._cache = store, cache / "builds"
        self._tell = tell or SilentBuild()

    def folder(self, recipe: BuildRecipe) -> Path:
        """Where it is or will be."""
        return self._store.folder / built_folder(recipe)

    def problem(self, recipe: BuildRecipe) -> str | None:
        """Why what is there is not a whole engine of this recipe; `None` when it is, or absent."""
        folder = self.folder(recipe)
        return built_problem(folder) if folder.is_dir() else None

    def is_built(self, recipe: BuildRecipe) -> bool:
        """By presence; contents are `problem`'s matter."""
        return read_manifest(self.folder(recipe)) is not None

    def log(self, recipe: BuildRecipe) -> Path:
        """The log of its last build."""
        return self._cache / f"{recipe.folder_name}.log"

    @contextmanager
    def _working(self, order: Order, *, alone: bool = True) -> Iterator[None]:
        """One process at a time, without what killed ones left; a disk that is full, or a folder
        that refuses, is a Failure."""

        def waits() -> None:
            self._tell.step(order.name, "wait for another process that builds it")

        try:
            self._store.sweep()
            if not alone:
                yield
                return
            with self._store.guard(order.recipe.input_hash, waits=waits):
                yield
        except OSError as error:
            raise Failure(of_system(order.address, error), status=3) from None

    def offer(self, order: Order, *, configured: bool) -> Price:
        """The price; `configured` has CMake count the objects, which takes seconds."""
        jobs = order.jobs or default_jobs(order.recipe)
        objects: Mapping[str, int] | None = None
        size = None
        if configured:
            tools, _ = toolchain.find(order.name, order.recipe, order.devices)
            with self._working(order, alone=False), self._site(order, ccache=False) as place:
                size = self._copy(order, place)
                done = steps.configure(
                    order.recipe, place, tools=tools, address=order.address, log=self._fresh(order)
                )
                objects = done.objects
        return price(
            order.recipe,
            objects=objects,
            source_bytes=size,
            jobs=jobs,
            timings=read_timings(self._cache),
        )

    def build(self, order: Order) -> Outcome:
        """Have the store hold it. A Failure (status 3) when it can't be built."""
        folder, recipe = self.folder(order.recipe), order.recipe
        with self._working(order):
            problem = self.problem(recipe)
            if folder.is_dir() and problem is None:
                return Outcome(folder, read_manifest(folder), self.log(recipe))
            damaged: tuple[Diagnostic, ...] = ()
            if problem is not None:
                summary = f"`{order.name}` {problem}; it is built again"
                damaged = (rules.BUILD_DAMAGED.at(order.address, summary),)
            tools, found = toolchain.find(order.name, recipe, order.devices)
            began, log = time.monotonic(), self._fresh(order)
            with self._site(order, ccache=tools.launcher is not None) as place:
                made, entry = self._make(order, place, tools, log)
                seconds = time.monotonic() - began
                problems = (*damaged, *found, *self._warnings(order, place, made))
                problems += self._try(order, entry)
                self._measure(order, made, place, seconds)
                self._place(place, entry, folder)
        self._tell.finished()
        return Outcome(folder, read_manifest(folder), log, problems, seconds)

    def check(self, order: Order) -> Outcome:
        """Build twice, of two copies of the tree at different paths, and compare every file.

        Without ccache: what is remembered proves nothing. Equal builds are kept.
        """
        folder, recipe = self.folder(order.recipe), order.recipe
        tools, found = toolchain.find(order.name, recipe, order.devices)
        with self._working(order):
            began, log = time.monotonic(), self._fresh(order)
            with self._site(order) as one, self._site(order, below="again/elsewhere") as other:
                made, entry = self._make(order, one, tools, log)
                seconds = time.monotonic() - began
                again = self._make(order, other, tools, log)[1]
                differences, compared = compare(entry, again)
                problems = (*found, *self._warnings(order, one, made))
                problems += self._try(order, entry)
                self._measure(order, made, one, seconds)
                if not differences and (not folder.is_dir() or self.problem(recipe)):
                    self._place(one, entry, folder)
        self._tell.finished()
        manifest = read_manifest(folder)
        taken = time.monotonic() - began
        return Outcome(folder, manifest, log, problems, taken, differences, compared)

    # steps

    @contextmanager
    def _site(self, order: Order, *, ccache: bool = False, below: str = "") -> Iterator[Site]:
        enclosed = site.refusal() is None if order.enclosed is None else order.enclosed
        with self._store.workplace() as work:
            place = Site(
                work=work.folder / below,
                enclosed=enclosed,
                ccache=self._cache / "ccache" if ccache else None,
                owner=work.owner,
            )
            place.work.mkdir(parents=True, exist_ok=True)
            place.prepare()
            yield place

    def _copy(self, order: Order, place: Site) -> int:
        """The size of the tree, which is now the site's own."""
        unpacked = place.work / "unpacked"
        unpacked.mkdir()
        steps.copy_tree(order.tree(unpacked), place)
        shutil.rmtree(unpacked, ignore_errors=True)
        return sum(path.lstat().st_size for path in place.source.rglob("*"))

    def _make(
        self, order: Order, place: Site, tools: toolchain.Toolchain, log: Path
    ) -> tuple[steps.Configured, Path]:
        self._room(order, typical(order.recipe), place)
        self._tell.step(order.name, "unpack")
        self._copy(order, place)
        self._tell.step(order.name, "configure")
        made = steps.configure(order.recipe, place, tools=tools, address=order.address, log=log)
        self._room(order, made.objects, place)
        self._tell.step(order.name, "compile")
        steps.compile_all(
            made,
            place,
            jobs=order.jobs or default_jobs(order.recipe),
            item=order.name,
            address=order.address,
            log=log,
            tell=self._tell,
        )
        self._tell.step(order.name, "install")
        return made, steps.install(
            order.recipe, made, place, item=order.name, address=order.address, log=log
        )

    def _room(self, order: Order, objects: Mapping[str, int], place: Site) -> None:
        cost = price(order.recipe, objects=objects, source_bytes=None, jobs=1, timings=())
        free = shutil.disk_usage(place.work).free
        if free < cost.disk_bytes:
            summary = (
                f"`{order.name}` takes up to {format_bytes(cost.disk_bytes)} while it is built, "
                f"and {format_bytes(free)} are free"
            )
            raise Failure(STORE_FULL.at(order.address, summary), status=3)

    def _try(self, order: Order, entry: Path) -> tuple[Diagnostic, ...]:
        manifest = read_manifest(entry)
        assert manifest is not None
        return order.probe(entry / manifest.tools["llama-server"])

    def _place(self, place: Site, entry: Path, folder: Path) -> None:
        self._store.add_built(entry, folder, place.work)

    def _measure(self, order: Order, made: steps.Configured, place: Site, seconds: float) -> None:
        used = sum(path.lstat().st_size for path in place.work.rglob("*") if not path.is_dir())
        keep_timing(
            self._cache,
            Timing(
                input_hash=order.recipe.input_hash,
                objects=made.objects,
                architectures=max(1, len(order.recipe.architectures)),
                jobs=order.jobs or default_jobs(order.recipe),
                seconds=seconds,
                cached=place.ccache is not None,
                disk_bytes=used,
            ),
        )

    def _fresh(self, order: Order) -> Path:
        path = self.log(order.recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return path

    @staticmethod
    def _warnings(order: Order, place: Site, made: steps.Configured) -> Iterator[Diagnostic]:
        for tool in made.absent:
            summary = f"`{order.name}` has no `{tool}` in this version or with these options"
            yield rules.TOOL_ABSENT.at(order.address, summary)
        if place.enclosed:
            return
        why = site.refusal() or "it was not wanted"
        summary = f"`{order.name}` was built without a mount namespace of its own: {why}"
        yield rules.NO_NAMESPACE.at(order.address, summary)
        if "cuda" in order.recipe.backends:
            summary = f"`{order.name}` is not reproducible: nvcc compiled in where it was built"
            yield rules.NOT_REPRODUCIBLE.at(order.address, summary)
