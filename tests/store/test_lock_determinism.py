"""Identical inputs give identical locks, and a lock names no address."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from supply_kit import TOOLS, engine, folders

from llmdecl.spec.schema import Spec
from llmdecl.store.supply import lock_stack
from llmdecl.values import to_json

RAW = {
    "version": 1,
    "engines": {
        "a": {"kind": "llama.cpp", "provider": "path", "path": "llama-server"},
        "b": {"kind": "llama.cpp", "provider": "path", "path": "other-server"},
    },
    "models": {
        "one": {"source": "file:w.gguf", "engine": "a"},
        "two": {"source": "file:sub/s-*.gguf", "engine": "b", "draft": {"source": "file:w.gguf"}},
        "three": {"source": "file:sub/s-00002-of-00002.gguf", "engine": "a"},
    },
    "endpoints": {"main": {"listen": "127.0.0.1:18080"}},
    "router": {"kind": "llama-swap", "path": "/opt/llama-swap"},
}


def shuffled(draw, value):
    if not isinstance(value, dict):
        return value
    keys = draw(st.permutations(sorted(value)))
    return {key: shuffled(draw, value[key]) for key in keys}


def locked(raw, base):
    """A lock made in the folder `base`, with stores and caches of its own."""
    for name, data in (
        ("w.gguf", b"GGUF w"),
        ("sub/s-00001-of-00002.gguf", b"GGUF 1"),
        ("sub/s-00002-of-00002.gguf", b"GGUF 22"),
        ("llama-server", b"#!/bin/true a\n"),
        ("other-server", b"#!/bin/true b\n"),
    ):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    spec = Spec.model_validate_json(json.dumps(raw))
    lock, problems = lock_stack(spec, base, folders(base / "machine"), None, tools=TOOLS)
    assert problems == ()
    return to_json(lock)


@st.composite
def specs(draw):
    """The spec with its tables in any order."""
    return shuffled(draw, RAW)


@settings(max_examples=25, deadline=None)
@given(specs(), st.text("abcé ", min_size=1, max_size=8).filter(str.strip))
def test_identical(raw, name):
    """Tables in any order, in any folder, make the same bytes, with no trace of the folder."""
    with tempfile.TemporaryDirectory() as folder:
        reference = locked(RAW, Path(folder) / "reference")
        assert locked(raw, Path(folder) / "other" / name.strip()) == reference
        assert folder.encode() not in reference


def test_no_address(index, tmp_path, where):
    """The index that was asked is not in the lock, nor any machine's folder."""
    index.add("tiny-model", "1.0", {"m.gguf": b"GGUF tiny"})
    index.add("engine", "1.0", {"engine/bin/llama-server": b"\x7fELF x"})
    raw = {
        "version": 1,
        "engines": {"e": engine()},
        "models": {"m": {"source": "pypi:tiny-model==1.0/m.gguf"}},
        "endpoints": {},
        "sources": {
            "hf": {"endpoint": "http://127.0.0.1:9/mirror", "token-file": "/secret/token"},
            "ollama": {"endpoint": "http://127.0.0.1:9/registry", "models-dir": "/srv/ollama"},
        },
    }
    spec = Spec.model_validate_json(json.dumps(raw))
    lock, problems = lock_stack(spec, tmp_path, where, None, tools=TOOLS)
    assert problems == ()
    text = to_json(lock).decode()
    for word in ("127.0.0.1", "localhost", "://", "simple", str(tmp_path), "mirror", "secret"):
        assert word not in text
