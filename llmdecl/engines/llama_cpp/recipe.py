"""How an engine is built of llama.cpp's source: everything that decides the result. Pure."""

import hashlib
from collections.abc import Mapping
from typing import Literal

from llmdecl.values import Value, to_json

ARCHIVES = "https://github.com/ggml-org/llama.cpp/archive/{ref}.tar.gz"
"""llama.cpp's repository as archives; `{ref}` is `refs/tags/TAG` or a commit."""


class SourceArchive(Value, kw_only=True, frozen=True):
    """llama.cpp's tree: the archive that carries it, and what is in it.

    `origin` is what the spec writes: `b10434`, a commit, `https:...`, `file:...` or
    `pypi:NAME==VERSION`. `root` is the folder in the archive that holds llama.cpp's
    CMakeLists.txt. `nar_hash` is the SRI hash (`sha256-...`) of that folder as a Nix archive: an
    archive that was packed anew still has it.
    """

    origin: str
    file_name: str
    sha256: str
    size_bytes: int
    root: str
    nar_hash: str
    commit: str | None
    build: int | None


class BuildRecipe(Value, kw_only=True, frozen=True):
    """One engine to build. `backends` beside the CPU's, sorted; `options` are all CMake options.

    `toolchain` is what the machine had when it was locked (`nvcc 13.0.88`), for people: another
    compiler builds another binary of the same recipe, and the manifest of a build says which.
    """

    schema: int = 1
    archive: SourceArchive
    version: str
    """For people and folder names: `b10434`, `0.3.36`, or the first digits of a commit."""
    backends: tuple[str, ...]
    architectures: tuple[str, ...]
    cpu: Literal["dispatch", "native", "baseline"]
    options: Mapping[str, str]
    toolchain: tuple[str, ...] = ()
    asked: Mapping[str, str] = {}
    """The spec's own options as it has them, by which a lock is known to be for it."""

    @property
    def input_hash(self) -> str:
        """SHA-256 of what decides the result; where the archive came from does not."""
        archive = self.archive
        inputs = (
            self.schema,
            (archive.nar_hash, archive.commit, archive.build),
            self.backends,
            self.architectures,
            self.cpu,
            dict(self.options),
        )
        return hashlib.sha256(to_json(inputs)).hexdigest()

    @property
    def folder_name(self) -> str:
        """Its entry below `engines/`: `HASH-llama.cpp-b10434-cuda-sm_86`."""
        words = ["llama.cpp", self.version, *(self.backends or ("cpu",)), *self.architectures]
        return f"{self.input_hash}-{'-'.join(words)[:120]}"
