"""The steps of a build: copy, configure, count, compile, install, strip."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llmdecl.builder import running, toolchain
from llmdecl.builder.missing import meanings
from llmdecl.builder.progress import BuildProgress, compiled_object, count_objects
from llmdecl.builder.rules import COMPILE_FAILED, CONFIGURE_FAILED, NO_SERVER
from llmdecl.builder.running import ProgramFailed
from llmdecl.builder.site import Site
from llmdecl.diagnostics import Failure, Rule
from llmdecl.emit.build_recipe import cmake_cache
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.engines.llama_cpp.reproducible import BUILD_DIR, SOURCE_DIR, cmake_options, flags
from llmdecl.engines.llama_cpp.tools import resolve
from llmdecl.store.built import MANIFEST, BuildInputs, Manifest, list_files
from llmdecl.store.durable import sync, write_durably
from llmdecl.values import to_json

BIN = "bin"
"""Programs, libraries and backends of an engine lie in one folder, so that it can be moved."""
LIBRARIES = ("*.so", "*.so.*", "*.dylib")


@dataclass(frozen=True, slots=True)
class Configured:
    """What CMake made of the recipe: `tools` by today's name, `objects` to compile by language."""

    tools: Mapping[str, str]
    absent: tuple[str, ...]
    objects: Mapping[str, int]
    compilers: Mapping[str, str]

    @property
    def targets(self) -> tuple[str, ...]:
        """Without repetition, in the order of the table."""
        return tuple(dict.fromkeys(self.tools.values()))


def copy_tree(tree: Path, site: Site) -> None:
    """A copy of the source for this build alone; an enclosing repository is not its matter.

    Folders are writable from the start: what is left of a killed build has to be removable.
    """
    for folder, names, files in os.walk(tree):
        here = site.source / Path(folder).relative_to(tree)
        here.mkdir()
        if Path(folder) == tree:
            names[:] = [name for name in names if name != ".git"]
            files = [name for name in files if name != ".git"]  # noqa: PLW2901  # as above
        for name in (*names, *files):
            path = Path(folder) / name
            if path.is_symlink():
                (here / name).symlink_to(path.readlink())
            elif name in files:
                shutil.copyfile(path, here / name)
                (here / name).chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def configure(
    recipe: BuildRecipe, site: Site, *, tools: toolchain.Toolchain, address: str, log: Path
) -> Configured:
    """Run CMake; a Failure when it refuses, or when there is no server to build."""
    (site.build / "recipe.cmake").write_text(cmake_cache(recipe), encoding="utf-8")
    words = ["cmake", "-G", tools.generator, "-C", f"{site.build_seen}/recipe.cmake"]
    words += ["-S", site.source_seen, "-B", site.build_seen]
    # else a tree that looks again for its files (Vulkan's shaders) has ninja configure it again,
    # and a dry run ends with that
    words.append("-DCMAKE_SUPPRESS_REGENERATION=ON")
    if site.ccache is not None and tools.launcher is not None:
        words += [f"-DCMAKE_{each}_COMPILER_LAUNCHER={tools.launcher}" for each in ("C", "CXX")]
        if "cuda" in recipe.backends:
            words.append(f"-DCMAKE_CUDA_COMPILER_LAUNCHER={tools.launcher}")
    make = ("cmake", "--build", site.build_seen)
    try:
        running.run(site, *words, log=log)
        targets = running.run(site, *make, "--target", "help", log=log)
        found, absent = resolve(_target(line) for line in targets)
        if "llama-server" not in found:
            raise Failure(
                NO_SERVER.at(
                    address, f"the tree of `{recipe.archive.origin}` builds no llama-server"
                ),
                status=3,
            )
        dry = _dry_run(site, *make, "--target", *found.values(), "--", "-n", log=log)
    except ProgramFailed as failed:
        raise _failure(CONFIGURE_FAILED, address, "CMake refused the recipe", failed, log) from None
    compilers = toolchain.compilers(site.build, site.environment(), recipe.backends)
    return Configured(found, absent, count_objects(dry), compilers)


def _dry_run(site: Site, *words: str, log: Path) -> list[str]:
    """What would be done. make misses the libraries that it did not make, and ends with 2."""
    try:
        return running.run(site, *words, *(() if _is_ninja(site) else ("-k",)), log=log)
    except ProgramFailed as failed:
        return failed.lines


def _is_ninja(site: Site) -> bool:
    return (site.build / "build.ninja").is_file()


def _target(line: str) -> str:
    """The target that a line of ninja's (`NAME: phony`) or make's (`... NAME`) help names."""
    return line.removeprefix("... ").partition(":")[0].partition(" ")[0]


def compile_all(
    configured: Configured,
    site: Site,
    *,
    jobs: int,
    item: str,
    address: str,
    log: Path,
    tell: BuildProgress,
) -> None:
    """Run ninja or make; a Failure with the last lines of the log."""
    total, begun = sum(configured.objects.values()), 0

    def watch(line: str) -> None:
        nonlocal begun
        path = compiled_object(line)
        if path is not None:
            begun += 1
            tell.objects(begun, max(total, begun), path)

    words = ["--build", site.build_seen, "--parallel", str(jobs), "--target", *configured.targets]
    try:
        running.run(site, "cmake", *words, log=log, watch=watch)
    except ProgramFailed as failed:
        what = f"`{item}` could not be compiled"
        raise _failure(COMPILE_FAILED, address, what, failed, log) from None


def install(
    recipe: BuildRecipe, configured: Configured, site: Site, *, item: str, address: str, log: Path
) -> Path:
    """The finished entry: stripped, read-only, with its manifest; everything on disk."""
    try:
        return _install(recipe, configured, site, log)
    except ProgramFailed as failed:
        what = f"`{item}` could not be stripped"
        raise _failure(COMPILE_FAILED, address, what, failed, log) from None


def _install(recipe: BuildRecipe, configured: Configured, site: Site, log: Path) -> Path:
    entry = site.work / "entry"
    (entry / BIN).mkdir(parents=True)
    made = site.build / BIN
    programs = [made / name for name in configured.targets]
    libraries = sorted({path for pattern in LIBRARIES for path in made.glob(pattern)})
    for path in (*programs, *libraries):
        target = entry / BIN / path.name
        if path.is_symlink():
            target.symlink_to(path.readlink())
            continue
        shutil.copyfile(path, target)
        running.run(
            # outside of the enclosure: the entry is not part of what it shows
            Site(work=site.work, enclosed=False, owner=site.owner),
            "strip",
            "--strip-all" if path in programs else "--strip-unneeded",
            str(target),
            log=log,
        )
        target.chmod(0o555)
    licence = site.source / "LICENSE"
    if licence.is_file():
        shutil.copyfile(licence, entry / "LICENSE")
        (entry / "LICENSE").chmod(0o444)
    manifest = manifest_of(recipe, configured, site, entry)
    write_durably(entry / MANIFEST, to_json(manifest))
    (entry / MANIFEST).chmod(0o444)
    flush(path for path in entry.rglob("*") if path.is_file())
    sync(entry / BIN)
    return entry


def flush(paths: Iterable[Path]) -> None:
    """Have the disk confirm what lies in files."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def manifest_of(recipe: BuildRecipe, configured: Configured, site: Site, entry: Path) -> Manifest:
    """What it was built of and with, and every file."""
    archive = recipe.archive
    return Manifest(
        inputs=BuildInputs(
            input_hash=recipe.input_hash,
            version=recipe.version,
            archive_sha256=archive.sha256,
            nar_hash=archive.nar_hash,
            commit=archive.commit,
            build=archive.build,
            backends=recipe.backends,
            architectures=recipe.architectures,
            cpu=recipe.cpu,
            options=recipe.options,
        ),
        compilers=configured.compilers,
        flags={**cmake_options(recipe), **flags(recipe, SOURCE_DIR, BUILD_DIR)},
        fixed_path=site.enclosed,
        tools={tool: f"{BIN}/{name}" for tool, name in configured.tools.items()},
        files=tuple(list_files(entry)),
    )


def _failure(rule: Rule, address: str, what: str, failed: ProgramFailed, log: Path) -> Failure:
    notes = [*meanings(failed.lines), *failed.last, f"log: {log}"]
    return Failure(rule.at(address, f"{what}: status {failed.status}", notes=notes), status=3)
