"""What supplying needs of the facts room, in one value so that a test can stand in for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts.model import EngineFacts, GgufFacts
from llmdecl.paths import Folders


@dataclass(frozen=True, slots=True)
class Tools:
    """`digest` and `read_gguf` come from a cache for files that have not changed."""

    digest: Callable[[Path], str]
    read_gguf: Callable[[Path, str], tuple[GgufFacts | None, tuple[Diagnostic, ...]]]
    probe: Callable[[Path, str], tuple[EngineFacts | None, tuple[Diagnostic, ...]]]


def real_tools(folders: Folders) -> Tools:
    """The facts room's own."""
    from llmdecl.facts.digest import file_sha256
    from llmdecl.facts.engine import probe_engine
    from llmdecl.facts.gguf import read_gguf

    return Tools(
        digest=lambda path: file_sha256(path, folders.cache),
        read_gguf=lambda path, address: read_gguf(path, address=address, cache=folders.cache),
        probe=lambda path, address: probe_engine(path, address=address, cache=folders.cache),
    )


def gguf_of(
    tools: Tools, path: Path, source: str, address: str
) -> tuple[GgufFacts, tuple[Diagnostic, ...]]:
    """The header at `path`, and warnings about it; a Failure at the spec's `address` for errors."""
    facts, problems = tools.read_gguf(path, address)
    problems = tuple(replace(each, notes=(f"source `{source}`", *each.notes)) for each in problems)
    if facts is None or has_errors(problems):
        raise Failure(*problems)
    return facts, problems
