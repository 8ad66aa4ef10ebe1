"""What supplying needs of the facts room, in one value so that a test can stand in for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts.gguf_remote import First, RemotePart, read_gguf_remote
from llmdecl.facts.model import EngineFacts, GgufFacts, HostFacts
from llmdecl.paths import Folders
from llmdecl.spec.schema import Host


def _host(declared: Host | None, cache: Path | None = None) -> HostFacts:
    from llmdecl.facts.hardware import look

    return look(declared, {}, cache=cache).host


Read = tuple[GgufFacts | None, tuple[Diagnostic, ...]]


def _read_remote(parts: Sequence[RemotePart], address: str, first: First | None) -> Read:
    return read_gguf_remote(parts, address=address, cache=None, first=first)


@dataclass(frozen=True, slots=True)
class Tools:
    """`digest` and `read_gguf` come from a cache for files that have not changed, `read_remote`
    from one for digests."""

    digest: Callable[[Path], str]
    read_gguf: Callable[[Path, str], Read]
    probe: Callable[[Path, str], tuple[EngineFacts | None, tuple[Diagnostic, ...]]]
    read_remote: Callable[[Sequence[RemotePart], str, First | None], Read] = _read_remote
    cache: Path | None = None
    """Where facts of files elsewhere are kept."""
    host: Callable[[Host | None], HostFacts] = _host


def real_tools(folders: Folders) -> Tools:
    """The facts room's own."""
    from llmdecl.facts.digest import file_sha256
    from llmdecl.facts.engine import probe_engine
    from llmdecl.facts.gguf import read_gguf

    return Tools(
        digest=lambda path: file_sha256(path, folders.cache),
        read_gguf=lambda path, address: read_gguf(path, address=address, cache=folders.cache),
        probe=lambda path, address: probe_engine(path, address=address, cache=folders.cache),
        read_remote=lambda parts, address, first: read_gguf_remote(
            parts, address=address, cache=folders.cache, first=first
        ),
        cache=folders.cache,
        host=lambda declared: _host(declared, folders.cache),
    )


def gguf_of(
    tools: Tools, path: Path, source: str, address: str
) -> tuple[GgufFacts, tuple[Diagnostic, ...]]:
    """The header at `path`, and warnings about it; a Failure at the spec's `address` for errors."""
    return sound(tools.read_gguf(path, address), source)


def sound(read: Read, source: str) -> tuple[GgufFacts, tuple[Diagnostic, ...]]:
    """What was read of `source`; a Failure when it can't be used."""
    facts, problems = read
    problems = tuple(replace(each, notes=(f"source `{source}`", *each.notes)) for each in problems)
    if facts is None or has_errors(problems):
        raise Failure(*problems)
    return facts, problems
