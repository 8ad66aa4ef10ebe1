"""ggml-cuda for one architecture, built twice by llmdecl's recipe and builder, and compared.

`python check.py [--architecture sm_86] [--only 'norm|scale'] [--jobs N] SOURCE TOOLKIT FOLDER`. The
two builds are of two copies of the tree in two folders. Without `--only` it is the whole library,
144 objects and 10 to 20 minutes a build on two cores; with it, the objects whose name matches. What
a killed run had compiled is kept in FOLDER, and compiled no second time.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from llmdecl.builder import running, site, steps, toolchain
from llmdecl.builder.site import Site
from llmdecl.engines.llama_cpp.build_options import recipe_for
from llmdecl.engines.llama_cpp.cmake_options import tree_options
from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.facts.model import CpuFacts, HostFacts
from llmdecl.spec.schema import SourceEngine

TARGET = "ggml-cuda"
FOLDER = f"ggml/src/{TARGET}/CMakeFiles/{TARGET}.dir"


def recipe_of(tree: Path, architecture: str) -> BuildRecipe:
    """CUDA for one architecture, with everything else as it comes."""
    files = [*tree.rglob("CMakeLists.txt"), *tree.rglob("*.cmake")]
    engine = SourceEngine(
        kind="llama.cpp",
        provider="source",
        source=f"file:{tree}",
        backends=("cuda",),
        architectures=(architecture,),
    )
    host = HostFacts(
        name="host",
        cpu=CpuFacts(model=None, cores_physical=1, cores_logical=1, features=()),
        ram_bytes=0,
        ram_declared=True,
        devices=(),
    )
    archive = SourceArchive(
        origin=f"file:{tree}",
        file_name=tree.name,
        sha256="0" * 64,
        size_bytes=0,
        root=".",
        nar_hash="sha256-",
        commit=None,
        build=None,
    )
    options = tree_options(path.read_text(errors="replace") for path in files)
    recipe, problems = recipe_for("cuda", engine, host, archive, tree=options)
    if recipe is None:
        sys.exit("\n".join(problem.summary for problem in problems))
    return recipe


def build(recipe: BuildRecipe, tree: Path, work: Path, only: str | None, jobs: int) -> list[Path]:
    """What was compiled, stripped as an engine's files are."""
    enclosed = site.refusal() is None
    place = Site(work=work, enclosed=enclosed)
    work.mkdir(parents=True, exist_ok=True)
    place.prepare()
    log = work / "log"
    if not place.source.exists():
        steps.copy_tree(tree, place)
    began = time.monotonic()
    tools, _ = toolchain.find("cuda", recipe)
    made = steps.configure(recipe, place, tools=tools, address="engines.cuda", log=log)
    print(f"{work}: {made.compilers}, at a fixed path: {enclosed}", flush=True)
    names = [f"{FOLDER}/{name}.o" for name in sources(place.source) if re.search(only or "", name)]
    targets = names if only else [TARGET]
    words = ("cmake", "--build", place.build_seen, "--parallel", str(jobs), "--target", *targets)
    lines = running.run(place, *words, log=log)
    compiled = sum("CUDA object" in line for line in lines)
    print(f"{work}: {compiled} objects compiled, {time.monotonic() - began:.0f} s", flush=True)
    found = (
        [place.build / name for name in names] if only else [place.build / "bin/libggml-cuda.so"]
    )
    return [stripped(path, work / "stripped") for path in found]


def sources(tree: Path) -> list[str]:
    """The `.cu` files that are their own object, by their path below ggml-cuda."""
    folder = tree / "ggml" / "src" / TARGET
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*.cu"))


def stripped(path: Path, folder: Path) -> Path:
    """A copy without symbols, as the builder installs it."""
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    subprocess.run(["strip", "--strip-unneeded", "-o", str(target), str(path)], check=True)
    return target


def main() -> None:
    """Build twice, compare; status 1 when a file differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", default="sm_86")
    parser.add_argument("--only", help="a regular expression for names of `.cu` files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("source", type=Path)
    parser.add_argument("toolkit", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    toolkit = given.toolkit.resolve()
    os.environ["PATH"] = f"{toolkit / 'bin'}:{os.environ['PATH']}"
    os.environ["CUDAToolkit_ROOT"] = str(toolkit)  # noqa: SIM112  # CMake's own spelling
    recipe = recipe_of(given.source, given.architecture)
    places = (given.folder.resolve() / "one", given.folder.resolve() / "another" / "place")
    first, second = (build(recipe, given.source, at, given.only, given.jobs) for at in places)
    differing = 0
    for one, other in zip(first, second, strict=True):
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (one, other)]
        same = digests[0] == digests[1]
        differing += not same
        names_place = any(str(place).encode() in one.read_bytes() for place in places)
        told = "identical" if same else f"differs: {' '.join(digests)}"
        told += ", and names its folder" if names_place else ""
        print(f"{one.name}: {told}, {one.stat().st_size} bytes")
    print(f"{len(first)} files compared, {differing} differ")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
