"""What a build needs on the path, and what it was built with."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmdecl.builder.rules import TOOL_MISSING
from llmdecl.diagnostics import Diagnostic, Failure

NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "CMake": (("cmake",), "cmake"),
    "ninja or make": (("ninja", "make"), "ninja-build"),
    "a C compiler": (("cc", "gcc", "clang"), "gcc"),
    "a C++ compiler": (("c++", "g++", "clang++"), "g++"),
    "strip": (("strip",), "binutils"),
}
"""What is needed: programs of which one must be there, and Debian's package of the first."""

_COMPILER = re.compile(r'set\(CMAKE_(?P<of>[A-Z]+)_COMPILER_(?P<what>ID|VERSION) "(?P<is>[^"]*)"\)')


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Programs of a build; `launcher` is ccache's path, where there is one."""

    generator: str
    launcher: str | None


def find(address: str, *, path: str | None = None) -> Toolchain:
    """What is on the path; a Failure that names every missing thing and its package."""
    problems = tuple(_missing(address, path))
    if problems:
        raise Failure(*problems, status=3)
    ninja = shutil.which("ninja", path=path) is not None
    return Toolchain("Ninja" if ninja else "Unix Makefiles", shutil.which("ccache", path=path))


def _missing(address: str, path: str | None) -> Iterator[Diagnostic]:
    for what, (programs, package) in NEEDED.items():
        if not any(shutil.which(program, path=path) for program in programs):
            names = " nor ".join(f"`{program}`" for program in programs)
            summary = f"`{address}` needs {what} to be built, and there is no {names} on the path"
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
