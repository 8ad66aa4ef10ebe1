"""A file that the compiler wrote, as a value."""

from llmdecl.values import Value


class Artefact(Value, frozen=True, kw_only=True):
    """A file by its `/`-separated path below the generation, whose folder its text never holds."""

    path: str
    text: str


ArtefactSet = tuple[Artefact, ...]
"""Sorted by path, each path once."""
