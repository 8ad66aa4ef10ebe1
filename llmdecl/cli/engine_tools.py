"""The programs that lie beside an engine's server, whatever its provider."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmdecl.builder.rules import ENGINE_ABSENT, UNKNOWN_ENGINE, UNKNOWN_TOOL
from llmdecl.diagnostics import Failure
from llmdecl.engines.llama_cpp.tools import TOOLS, spellings
from llmdecl.paths import Folders
from llmdecl.sources.file import locate
from llmdecl.spec.schema import PathEngine, Spec
from llmdecl.store.layout import engine_executable
from llmdecl.store.model import Lock, LockedEngine
from llmdecl.store.pins import describe_engine, pins
from llmdecl.store.wanted import WantedEngine, wanted


@dataclass(frozen=True, slots=True)
class Found:
    """An engine; `program` is None while it is not locked, `here` whether the program is there."""

    name: str
    provider: str
    what: str
    program: Path | None
    here: bool
    tools: tuple[str, ...]


def find(spec: Spec, lock: Lock, base: Path, where: Folders) -> tuple[Found, ...]:
    """Every engine of the spec, by name."""
    return tuple(_found(want, lock, base, where) for want in wanted(spec).engines)


def _found(want: WantedEngine, lock: Lock, base: Path, where: Folders) -> Found:
    locked = lock.engines.get(want.name)
    if locked is not None and not pins(want, locked):
        locked = None
    program = _program(want, locked, base, where)
    return Found(
        name=want.name,
        provider=want.engine.provider,
        what=describe_engine(locked) if locked else "not locked",
        program=program,
        here=program is not None and program.is_file(),
        tools=_tools(program),
    )


def _program(
    want: WantedEngine, locked: LockedEngine | None, base: Path, where: Folders
) -> Path | None:
    if isinstance(want.engine, PathEngine):
        return locate(want.engine.path, base)
    if locked is None:
        return None
    place = engine_executable(locked)
    return where.store / place.text.lstrip("/") if place.root else Path(place.text)


def _tools(program: Path | None) -> tuple[str, ...]:
    """Tools beside the server, by today's names; the server may be a link into its folder."""
    if program is None or not program.is_file():
        return ()
    return tuple(tool for tool in TOOLS if _beside(program, tool) is not None)


def _beside(program: Path, tool: str) -> Path | None:
    for folder in (program.parent, program.resolve().parent):
        for name in spellings(tool):
            path = folder / name
            if path.is_file() and os.access(path, os.X_OK):
                return path
    return program if tool == "llama-server" else None


def chosen(found: Sequence[Found], name: str | None) -> Found:
    """The engine of this name, or the only one; a Failure that lists them."""
    if name is None and len(found) == 1:
        return found[0]
    for each in found:
        if each.name == name:
            return each
    listed = ", ".join(f"`{each.name}`" for each in found)
    summary = f"the spec has no engine `{name}`" if name else "the spec has several engines"
    raise Failure(UNKNOWN_ENGINE.at("--engine", summary, notes=[f"engines are {listed}"]))


def require_tool(engine: Found, tool: str) -> Path:
    """The program; a Failure that lists what the engine has."""
    address = f"engines.{engine.name}"
    if engine.program is None or not engine.here:
        verb = "build" if engine.provider == "source" else "fetch"
        help_ = ["`llmdecl lock`"] if engine.program is None else [f"`llmdecl {verb}`"]
        summary = f"`{engine.name}` is not here ({engine.what})"
        raise Failure(ENGINE_ABSENT.at(address, summary, help=help_))
    if "/" not in tool and (path := _beside(engine.program, tool)) is not None:
        return path
    notes = [f"it has {', '.join(f'`{each}`' for each in engine.tools)}"]
    raise Failure(UNKNOWN_TOOL.at(address, f"`{engine.name}` has no `{tool}`", notes=notes))
