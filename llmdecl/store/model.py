"""The lock as a value: what everything is pinned to.

It names packages, files and digests, never an address.
"""

from collections.abc import Mapping

from llmdecl.facts.model import Flag, GgufFacts
from llmdecl.values import Value


class LockedFile(Value, kw_only=True, frozen=True):
    """A file by name, digest and size; `path` is its place inside a package, if it came in one."""

    name: str
    sha256: str
    size_bytes: int
    path: str | None = None


class LockedPackage(Value, kw_only=True, frozen=True):
    """A distribution on a Python package index."""

    name: str
    version: str
    file: LockedFile


class LockedWeights(Value, kw_only=True, frozen=True):
    """One source.

    `digest` is the name of its folder in the store: the file's own SHA-256, or for a split model
    the SHA-256 over its parts' digests in order, one per line.
    """

    source: str
    digest: str
    files: tuple[LockedFile, ...]
    package: LockedPackage | None
    gguf: GgufFacts


class LockedEngine(Value, kw_only=True, frozen=True):
    """One engine with the flag table read from its own `--help`.

    `executable` is its path inside the store folder `engines/<digest>` (provider `pypi`) or as the
    spec gives it (provider `path`).
    """

    kind: str
    provider: str
    digest: str
    executable: str
    binary_sha256: str
    version: str
    build: int | None
    commit: str | None
    package: LockedPackage | None
    flags: tuple[Flag, ...]
    cpu_features: tuple[str, ...] = ()
    backends: tuple[str, ...] | None = None
    """ggml backends beside the CPU's; None in locks of earlier versions."""


class Lock(Value, kw_only=True, frozen=True):
    """`llmdecl.lock`: weights by source as written in the spec, engines by name.

    `ports` are TCP ports of models by name, where the router needs them: once given, they stay.
    """

    schema: int = 1
    weights: Mapping[str, LockedWeights] = {}
    engines: Mapping[str, LockedEngine] = {}
    ports: Mapping[str, int] = {}
