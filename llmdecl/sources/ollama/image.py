"""A model of Ollama, wherever it is: its manifest, its texts, its weights' header."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts.gguf import read_header
from llmdecl.facts.gguf_values import GgufHeader
from llmdecl.sources.file import Digest
from llmdecl.sources.ollama.local import Found
from llmdecl.sources.ollama.manifest import (
    MAX_BYTES,
    Config,
    Layer,
    Manifest,
    parse_config,
    parse_manifest,
)
from llmdecl.sources.ollama.rules import OLLAMA_BLOB, OLLAMA_MANIFEST
from llmdecl.sources.ollama.settings import Extras

_LICENSES = 4
"""A licence and the policies that belong to it."""


class Image(Protocol):
    """A model; every method raises Failure at the spec's address."""

    @property
    def manifest(self) -> Manifest: ...  # noqa: D102  # above

    def read(self, layer: Layer) -> bytes:
        """A small layer, verified."""

    def header(self, layer: Layer) -> tuple[GgufHeader, tuple[Diagnostic, ...]]:
        """The header of weights, and warnings about it."""


def manifest_of(data: bytes, what: str, address: str) -> Manifest:
    """The manifest, or a Failure that names `what`."""
    try:
        return parse_manifest(data)
    except ValueError as error:
        summary = f"the manifest of `{what}` is damaged: {error}"
        raise Failure(OLLAMA_MANIFEST.at(address, summary)) from None


@dataclass(frozen=True, slots=True)
class LocalImage:
    """A model in a store of this machine."""

    found: Found
    manifest: Manifest
    digest: Digest
    address: str

    def read(self, layer: Layer) -> bytes:
        """A small layer, verified."""
        path = self.weights(layer)
        if layer.size_bytes > MAX_BYTES:
            summary = f"`{path}` has {layer.size_bytes:,} bytes; at most {MAX_BYTES:,} are read"
            raise Failure(OLLAMA_MANIFEST.at(self.address, summary))
        try:
            data = path.read_bytes()
        except OSError as error:
            raise Failure(self._unreadable(path, error)) from None
        found = hashlib.sha256(data).hexdigest()
        if found != layer.sha256:
            raise Failure(self._other(path, found))
        return data

    def weights(self, layer: Layer) -> Path:
        """Where a layer is: there, and as large as it should be."""
        path = self.found.blob(layer)
        try:
            status = path.stat()
        except FileNotFoundError:
            summary = f"`{path}` is not there, which the model's `{layer.kind}` layer is"
            raise Failure(OLLAMA_BLOB.at(self.address, summary, notes=[self._note()])) from None
        except OSError as error:
            raise Failure(self._unreadable(path, error)) from None
        if not stat.S_ISREG(status.st_mode):
            summary = f"`{path}` is not a plain file"
            raise Failure(OLLAMA_BLOB.at(self.address, summary, notes=[self._note()]))
        if status.st_size != layer.size_bytes:
            summary = (
                f"`{path}` has {status.st_size:,} bytes, the manifest says {layer.size_bytes:,}"
            )
            raise Failure(OLLAMA_BLOB.at(self.address, summary, notes=[self._note()]))
        return path

    def header(self, layer: Layer) -> tuple[GgufHeader, tuple[Diagnostic, ...]]:
        """The header of weights, and warnings about it."""
        header, problems = read_header(self.weights(layer), address=self.address)
        if header is None or has_errors(problems):
            raise Failure(*problems)
        return header, problems

    def verify(self, layer: Layer) -> Path:
        """Where the weights are, after every byte was compared with the digest."""
        path = self.weights(layer)
        try:
            found = self.digest(path)
        except OSError as error:
            raise Failure(self._unreadable(path, error)) from None
        if found != layer.sha256:
            raise Failure(self._other(path, found))
        return path

    def _note(self) -> str:
        return f"the manifest is `{self.found.path}`"

    def _unreadable(self, path: Path, error: OSError) -> Diagnostic:
        summary = f"`{path}` can't be read: {error.strerror}"
        return OLLAMA_BLOB.at(self.address, summary, notes=[self._note()])

    def _other(self, path: Path, found: str) -> Diagnostic:
        summary = f"`{path}` has SHA-256 {found}, which is not its name"
        return OLLAMA_BLOB.at(self.address, summary, notes=[self._note()])


def config_of(image: Image, what: str, address: str) -> Config:
    """What the configuration says."""
    if image.manifest.config is None:
        return Config()
    try:
        return parse_config(image.read(image.manifest.config))
    except ValueError as error:
        summary = f"the configuration of `{what}` is damaged: {error}"
        raise Failure(OLLAMA_MANIFEST.at(address, summary)) from None


def extras_of(image: Image) -> Extras:
    """The texts beside the weights; of a kind that is there twice, the last as in Ollama."""

    def text(*kinds: str) -> str | None:
        layers = image.manifest.of(*kinds)
        return image.read(layers[-1]).decode("utf-8", "replace") if layers else None

    return Extras(
        template=text("template", "prompt"),
        system=text("system"),
        params=text("params"),
        messages=text("messages"),
        licenses=tuple(
            image.read(layer).decode("utf-8", "replace") for layer in image.manifest.of("license")
        ),
    )


def license_of(extras: Extras) -> str | None:
    """The names of all licences: of each the first line that says something, 80 letters of it."""
    names = []
    for text in extras.licenses[:_LICENSES]:
        lines = (line.strip() for line in text.splitlines())
        if first := next((line for line in lines if line), None):
            names.append("".join(one for one in first if one.isprintable())[:80])
    return ", ".join(dict.fromkeys(names)) or None
