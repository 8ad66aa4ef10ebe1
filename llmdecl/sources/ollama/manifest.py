"""Ollama's manifests and configuration, as it writes them. Pure; untrusted input.

Facts by ollama's manifest/manifest.go, types/model/config.go and server/images.go (0.33).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmdecl.sources.reference import Role

MAX_BYTES: Final = 4 << 20
"""Of a manifest, and of a layer that is read as text."""

_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")

LAYER_OF: Mapping[Role, str] = {
    "model": "model",
    "mmproj": "projector",
    "lora": "adapter",
    "draft": "draft",
}
"""What carries the weights of a role."""

SAFETENSORS = ("tensor", "json")
"""Pieces of a model for Ollama's MLX engine, which llama.cpp cannot read."""


@dataclass(frozen=True, slots=True)
class Layer:
    """`kind` is what follows `application/vnd.ollama.image.`, else the whole media type."""

    kind: str
    sha256: str
    size_bytes: int

    @property
    def blob(self) -> str:
        """Its file name in a store."""
        return f"sha256-{self.sha256}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """`sha256` is that of its bytes: the model's ID in `ollama list`."""

    sha256: str
    layers: tuple[Layer, ...]
    config: Layer | None

    def of(self, *kinds: str) -> tuple[Layer, ...]:
        """Layers of these kinds, in order."""
        return tuple(layer for layer in self.layers if layer.kind in kinds)


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration says that matters here; `None` where it doesn't."""

    model_type: str | None = None
    """The size in words: `4.3B`."""
    remote: str | None = None
    """The host that runs it instead: a cloud model has no weights."""
    renderer: str | None = None


def parse_manifest(data: bytes) -> Manifest:
    """The manifest; raises ValueError, whose text says what is wrong."""
    document = _object(data)
    if "layers" not in document and "manifests" in document:
        raise ValueError("it is a list of manifests, which Ollama's own store does not have")
    layers = document.get("layers")
    if not isinstance(layers, list):
        raise ValueError("it has no layers")  # noqa: TRY004  # a bad text, not a bad call
    config = document.get("config")
    return Manifest(
        sha256=hashlib.sha256(data).hexdigest(),
        layers=tuple(_layer(layer, f"layer {number}") for number, layer in enumerate(layers, 1)),
        config=_layer(config, "`config`") if isinstance(config, dict) else None,
    )


def _layer(value: Any, what: str) -> Layer:
    kind = value.get("mediaType") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        raise ValueError(f"{what} has no media type")  # noqa: TRY004  # a bad text, not a bad call
    digest = value.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise ValueError(f"{what} has the digest {str(digest)[:80]!r}, no `sha256:...`")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 60:
        raise ValueError(f"{what} has the size {str(size)[:40]!r}")
    return Layer(kind.removeprefix(_LAYER), match[1].lower(), size)


def parse_config(data: bytes) -> Config:
    """The configuration; raises ValueError."""
    document = _object(data)

    def text(key: str) -> str | None:
        value = document.get(key)
        return value if isinstance(value, str) and value else None

    return Config(
        model_type=text("model_type"), remote=text("remote_host"), renderer=text("renderer")
    )


def _object(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # a bad text, not a bad call
    return document
