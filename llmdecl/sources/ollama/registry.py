"""Ollama's registry, and others that speak as it does: the distribution API without a login."""

import hashlib
from dataclasses import dataclass
from typing import Final

from llmdecl.diagnostics import Diagnostic, Failure, has_errors
from llmdecl.facts.gguf import header_in
from llmdecl.facts.gguf_remote import FIRST_AT_ONCE, MAX_REMOTE_HEADER_BYTES
from llmdecl.facts.gguf_values import GgufHeader
from llmdecl.facts.gguf_window import Window
from llmdecl.sources.http.values import Source
from llmdecl.sources.http.web import Web
from llmdecl.sources.ollama.image import manifest_of
from llmdecl.sources.ollama.manifest import MAX_BYTES, Layer, Manifest
from llmdecl.sources.ollama.rules import OLLAMA_BLOB, OLLAMA_MANIFEST, OLLAMA_UNKNOWN
from llmdecl.sources.reference import HUB_HOSTS, LIBRARY, OllamaReference
from llmdecl.sources.remote import remote_part

ENDPOINT: Final = f"https://{LIBRARY}"

_ACCEPT = ("Accept", "application/vnd.docker.distribution.manifest.v2+json")
_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Registry:
    """Where one model is asked for; `endpoint` stands in for Ollama's own registry."""

    web: Web
    reference: OllamaReference
    endpoint: str | None

    @property
    def url(self) -> str:
        """Of the model, without a file of it."""
        host = self.reference.host
        if host == LIBRARY:
            root = (self.endpoint or ENDPOINT).rstrip("/")
        else:
            scheme = "http" if host.partition(":")[0] in _LOOPBACK else "https"
            root = f"{scheme}://{host}"
        return f"{root}/v2/{self.reference.namespace}/{self.reference.model}"

    def source(self, sha256: str) -> Source:
        """A blob."""
        return Source(f"{self.url}/blobs/sha256:{sha256}")

    def _elsewhere(self) -> list[str]:
        """Hugging Face's own interface takes a token; in this one Ollama shows a key of its own."""
        if self.reference.host not in HUB_HOSTS:
            return []
        where = f"hf:{self.reference.namespace}/{self.reference.model}"
        return [f'`source = "{where}"` asks with a token of Hugging Face']

    def image(self, what: str, address: str) -> "RemoteImage | None":
        """The model, or `None` when the registry has none of this name."""
        answer = self.web.get(
            f"{self.url}/manifests/{self.reference.tag}",
            headers=(_ACCEPT,),
            address=address,
            allow=(401, 403, 404),
            max_bytes=MAX_BYTES,
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            summary = f"`{what}` is not in its registry, or not for everybody"
            notes = [f"`{self.url}` wants a login (status {answer.status})"]
            raise Failure(OLLAMA_UNKNOWN.at(address, summary, notes=notes, help=self._elsewhere()))
        return RemoteImage(self, manifest_of(answer.body, what, address), address)


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """A model in a registry."""

    registry: Registry
    manifest: Manifest
    address: str

    def read(self, layer: Layer) -> bytes:
        """A small layer, verified."""
        if layer.size_bytes > MAX_BYTES:
            summary = f"a `{layer.kind}` layer has {layer.size_bytes:,} bytes"
            note = f"at most {MAX_BYTES:,} are read"
            raise Failure(OLLAMA_MANIFEST.at(self.address, summary, notes=[note]))
        source = self.registry.source(layer.sha256)
        answer = self.registry.web.get(source.url, address=self.address, max_bytes=MAX_BYTES)
        found = hashlib.sha256(answer.body).hexdigest()
        if found != layer.sha256:
            summary = f"the registry's `{layer.kind}` layer {layer.sha256} has SHA-256 {found}"
            raise Failure(OLLAMA_BLOB.at(self.address, summary))
        return answer.body

    def header(self, layer: Layer) -> tuple[GgufHeader, tuple[Diagnostic, ...]]:
        """The header of weights by range requests, and warnings about it."""
        part = remote_part(
            self.registry.web,
            self.registry.source(layer.sha256),
            name=layer.blob,
            sha256=layer.sha256,
            size_bytes=layer.size_bytes,
            address=self.address,
        )
        window = Window(part.read_at, part.size_bytes, MAX_REMOTE_HEADER_BYTES, FIRST_AT_ONCE)
        header, problems = header_in(window, part.name, self.address)
        if header is None or has_errors(problems):
            raise Failure(*problems)
        return header, problems
