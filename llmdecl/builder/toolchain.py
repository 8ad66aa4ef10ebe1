"""What a build needs on the path, and what it was built with."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmdecl.builder.rules import TOOL_MISSING
from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.engines.llama_cpp.toolkit_checks import toolkit_problems
from llmdecl.facts.hardware.machine import Machine, places
from llmdecl.facts.hardware.toolkits import toolkits_of
from llmdecl.facts.model import DeviceFacts

NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ninja or make": (("ninja", "make"), "ninja-build"),
    "a C compiler": (("cc", "gcc", "clang", "icx"), "gcc"),
    "a tool to strip programs": (("strip",), "binutils"),
}
"""What is needed beside CMake, the C++ compiler and toolkits, which `toolkit_problems` judges:
programs of which one must be there, and Debian's package of the first."""

_COMPILER = re.compile(r'set\(CMAKE_(?P<of>[A-Z]+)_COMPILER_(?P<what>ID|VERSION) "(?P<is>[^"]*)"\)')


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Programs of a build; `launcher` is ccache's path, where there is one."""

    generator: str
    launcher: str | None


def find(
    name: str, recipe: BuildRecipe, devices: Iterable[DeviceFacts] = ()
) -> tuple[Toolchain, tuple[Diagnostic, ...]]:
    """What engine `name` is built with, and warnings; a Failure that names all that is missing.

    `devices` are those that it is to run on, for what their drivers are too old for.
    """
    machine = Machine()
    has = toolkits_of(machine.ask, machine.paths)
    found = (*_missing(name), *toolkit_problems(name, recipe, has, devices))
    if has_errors(found):
        raise Failure(*found, status=3)
    ninja = shutil.which("ninja", path=places()) is not None
    return Toolchain(
        "Ninja" if ninja else "Unix Makefiles", shutil.which("ccache", path=places())
    ), found


def _missing(name: str) -> Iterator[Diagnostic]:
    address = f"engines.{name}"
    for what, (programs, package) in NEEDED.items():
        if not any(shutil.which(program, path=places()) for program in programs):
            names = " nor ".join(f"`{program}`" for program in programs)
            summary = f"`{name}` needs {what} to be built, and there is no {names} on the path"
            yield TOOL_MISSING.at(address, summary, notes=[f"Debian: apt install {package}"])


def compilers(
    build: Path, environment: Mapping[str, str], backends: Sequence[str]
) -> dict[str, str]:
    """What CMake found, by language, and the programs beside it whose version matters."""
    found: dict[str, str] = {}
    for path in sorted((build / "CMakeFiles").glob("*/CMake*Compiler.cmake")):
        said = {
            (match["of"], match["what"]): match["is"]
            for match in _COMPILER.finditer(path.read_text())
        }
        language = path.name.removeprefix("CMake").removesuffix("Compiler.cmake")
        identity, version = said.get((language, "ID"), ""), said.get((language, "VERSION"), "")
        if identity:
            found[language] = f"{identity} {version}".strip()
    found["cmake"] = _first_line(("cmake", "--version"), environment)
    found["ld"] = _first_line(("ld", "--version"), environment)
    if "vulkan" in backends:
        found["glslc"] = _first_line(("glslc", "--version"), environment)
    return found


def _first_line(argv: tuple[str, ...], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return next(iter(done.stdout.splitlines()), "unknown").strip()
