"""Flag tables of releases, from the real `--help` of each; how they came about is in `README.md`.

Pure but for reading what is beside this module.
"""

from functools import cache
from importlib.resources import files

from llmdecl.facts.model import Flag
from llmdecl.values import Value, from_json

NAMES = (
    "b10068",
    "b10434",
    "llama-cpp-python-0.3.16",
    "llama-cpp-python-0.3.24",
    "llama-cpp-python-0.3.35",
    "llama-cpp-python-0.3.36",
)
"""File names without their suffix, which are what people call the release."""


class Release(Value, kw_only=True, frozen=True):
    """`flags` are in the order of the help. `version` is a release tag, or the package's that
    carries the tree.

    `source_sha256` is that of `common/arg.cpp`, `None` where only the program was at hand.
    `rpc_is_optional`: `--rpc` is there only in a build with that backend.
    """

    version: str
    commit: str | None
    build: int | None = None
    source_sha256: str | None
    rpc_is_optional: bool
    flags: tuple[Flag, ...]

    def table(self, *, has_rpc: bool) -> tuple[Flag, ...]:
        """The flags of a build."""
        if has_rpc or not self.rpc_is_optional:
            return self.flags
        return tuple(flag for flag in self.flags if "--rpc" not in flag.names)


@cache
def release(name: str) -> Release:
    """One of `NAMES`."""
    return from_json(files(__package__).joinpath(f"{name}.json").read_bytes(), Release)


def by_source(sha256: str) -> Release | None:
    """The release whose `common/arg.cpp` has this digest."""
    return next((each for each in map(release, NAMES) if each.source_sha256 == sha256), None)


def by_version(version: str) -> Release | None:
    """The release of this tag."""
    tags = (each for each in map(release, NAMES) if each.build is not None)
    return next((each for each in tags if each.version == version), None)
