"""Ollama stores made by hand, and tiny GGUF files in Ollama's layouts."""

import hashlib
import json
import math
from pathlib import Path

from tests.facts.gguf_writer import gguf, key, tensor


def sha256(data):
    return hashlib.sha256(data).hexdigest()


LAYER = "application/vnd.ollama.image."
CONFIG = "application/vnd.docker.container.image.v1+json"


def weights(architecture, keys=(), tensors=None, tokens=None):
    """A GGUF with these keys (name, kind, value) and F32 tensors (shape by name)."""
    tensors = {"token_embd.weight": (8, 4), "output_norm.weight": (8,)} | (tensors or {})
    head, offset = [], 0
    for name, shape in tensors.items():
        head.append(tensor(name, shape, 0, offset))
        offset += -(-4 * math.prod(shape) // 32) * 32
    known = [key("general.architecture", "str", architecture)]
    known += [key(*each) for each in keys]
    if tokens is not None:
        known.append(key("tokenizer.ggml.tokens", "[str]", [""] * tokens))
    return gguf(known, head, bytes(offset))


class OllamaStore:
    """A store's folder; `add` makes a model of layers."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs").mkdir(parents=True)
        self.manifests = {}
        self.blobs = {}

    def blob(self, data):
        """A blob of bytes, or of the file at a path, which is linked."""
        is_path = isinstance(data, Path)
        digest = sha256(data.read_bytes() if is_path else data)
        path = self.folder / "blobs" / f"sha256-{digest}"
        if not path.exists():
            if is_path:
                path.symlink_to(data)
            else:
                path.write_bytes(data)
        self.blobs[digest] = path
        size = path.stat().st_size
        return {"digest": f"sha256:{digest}", "size": size}

    def add(self, name, layers, config=None):
        """A model `HOST/NAMESPACE/NAME/TAG` of `(kind, data)` layers; the manifest's bytes."""
        listed = []
        for kind, data in layers:
            raw = json.dumps(data).encode() if isinstance(data, dict | list) else data
            raw = raw.encode() if isinstance(raw, str) else raw
            listed.append({"mediaType": LAYER + kind, **self.blob(raw)})
        config = {"model_format": "gguf", "model_type": "1B", **(config or {})}
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": CONFIG, **self.blob(json.dumps(config).encode())},
            "layers": listed,
        }
        return self.write(name, json.dumps(manifest).encode())

    def write(self, name, data):
        """A manifest's bytes."""
        path = self.folder / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.manifests[name] = data
        return data


def library(name, tag="latest"):
    return f"registry.ollama.ai/library/{name}/{tag}"
