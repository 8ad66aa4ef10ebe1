"""`file:` sources: referenced, compared, never copied."""

import pytest
from supply_kit import TOOLS, sha256, spec

from llmdecl.store.layout import weights_digest
from llmdecl.store.missing import missing
from llmdecl.store.store import Store
from llmdecl.store.supply import fetch_stack, lock_stack, stale

DATA = b"GGUF some weights"


def lock(a_spec, base, where, previous=None, **options):
    return lock_stack(a_spec, base, where, previous, tools=TOOLS, **options)


def fetch(a_spec, a_lock, base, where):
    return fetch_stack(a_spec, a_lock, base, where, tools=TOOLS)


@pytest.fixture
def local(tmp_path):
    """A spec's folder with weights beside it."""
    (tmp_path / "base").mkdir()
    (tmp_path / "w.gguf").write_bytes(DATA)
    return tmp_path / "base"


LOCAL = spec({"m": "file:../w.gguf"})


def test_linked(local, tmp_path, where):
    """The store leads to the file where it lies, by an absolute path."""
    found, problems = lock(LOCAL, local, where)
    assert problems == ()
    assert [each.bytes for each in missing(LOCAL, found, where)] == [0]
    assert fetch(LOCAL, found, local, where) == ()
    link = where.store / "weights" / sha256(DATA) / "model.gguf"
    assert link.is_symlink()
    assert link.readlink() == tmp_path / "w.gguf"
    assert missing(LOCAL, found, where) == ()
    assert fetch(LOCAL, found, local, where) == ()


def test_moved(local, tmp_path, where):
    """A file that moved, with the spec, gets its link mended."""
    found, _ = lock(LOCAL, local, where)
    fetch(LOCAL, found, local, where)
    (tmp_path / "w.gguf").rename(local / "moved.gguf")
    moved = spec({"m": "file:moved.gguf"})
    assert [each.bytes for each in missing(LOCAL, found, where)] == [0]  # the link leads nowhere
    found, _ = lock(moved, local, where, found)
    assert fetch(moved, found, local, where) == ()
    link = where.store / "weights" / sha256(DATA) / "model.gguf"
    assert link.resolve() == local / "moved.gguf"


def test_changed(local, tmp_path, where):
    """New content under an old pin is an error of lock, fetch and --check, until --update."""
    found, _ = lock(LOCAL, local, where)
    (tmp_path / "w.gguf").write_bytes(DATA + b"!")
    for problems in (lock(LOCAL, local, where, found)[1], fetch(LOCAL, found, local, where)):
        assert [each.code for each in problems] == ["LD403"]
        assert sha256(DATA) in problems[0].summary
        assert sha256(DATA + b"!") in problems[0].summary
    assert [each.sign for each in stale(LOCAL, found, local, where, tools=TOOLS)] == ["~"]
    renewed, problems = lock(LOCAL, local, where, found, update=["m"])
    assert problems == ()
    assert renewed.weights["file:../w.gguf"].digest == sha256(DATA + b"!")


def test_absent(local, tmp_path, where):
    """Without the file its pin stays with a warning; a fetch is an error."""
    found, _ = lock(LOCAL, local, where)
    (tmp_path / "w.gguf").unlink()
    kept, problems = lock(LOCAL, local, where, found)
    assert kept == found
    assert [each.code for each in problems] == ["LD418"]
    assert not stale(LOCAL, found, local, where, tools=TOOLS)
    assert [each.code for each in fetch(LOCAL, found, local, where)] == ["LD402"]


def test_split(local, where):
    """All parts follow from the name of one, get llama.cpp's names, and missing ones are named."""
    for part in (1, 2):
        (local / f"s-0000{part}-of-00002.gguf").write_bytes(DATA + bytes([part]))
    split = spec({"m": "file:s-00001-of-00002.gguf"})
    found, problems = lock(split, local, where)
    assert problems == ()
    weights = found.weights["file:s-00001-of-00002.gguf"]
    assert weights.digest == weights_digest(weights.files)
    assert fetch(split, found, local, where) == ()
    store = Store(where.store)
    assert [path.name for path in store.weights_paths(weights)] == [
        "model-00001-of-00002.gguf",
        "model-00002-of-00002.gguf",
    ]
    assert store.has_weights(weights.digest)
    assert store.weights_problem(weights) is None
    (local / "s-00002-of-00002.gguf").unlink()
    assert not store.has_weights(weights.digest)
    problems = fetch(split, found, local, where)
    assert [each.code for each in problems] == ["LD402"]
    assert "s-00002-of-00002.gguf" in "".join(problems[0].notes)


@pytest.mark.parametrize("path", ["folder", "nothing", "pipe", "w.gguf/x"])
def test_not_a_file(local, where, path):
    """Folders, pipes and nothing are a diagnostic at once."""
    import os

    (local / "folder").mkdir()
    (local / "w.gguf").write_bytes(DATA)
    os.mkfifo(local / "pipe")
    _, problems = lock(spec({"m": f"file:{path}"}), local, where)
    assert [each.code for each in problems] == ["LD402"]


def test_shared_by_models(local, where):
    """A source that several models name is locked once, and draft and adapters are locked too."""
    for name in ("d.gguf", "l.gguf"):
        (local / name).write_bytes(DATA + name.encode())
    both = spec(
        {
            "a": {"source": "file:../w.gguf", "draft": {"source": "file:d.gguf"}},
            "b": {"source": "file:../w.gguf", "lora": [{"source": "file:l.gguf"}]},
        }
    )
    found, problems = lock(both, local, where)
    assert problems == ()
    assert sorted(found.weights) == ["file:../w.gguf", "file:d.gguf", "file:l.gguf"]


def test_path_engine(local, where):
    """An engine at a path is pinned by what it is, stays outside the store, and must not change."""
    binary = local / "llama-server"
    binary.write_bytes(b"#!/bin/true\n")
    here = spec({}, {"e": {"kind": "llama.cpp", "provider": "path", "path": "llama-server"}})
    assert [each.code for each in lock(here, local, where)[1]] == ["LD402"]
    binary.chmod(0o755)
    found, problems = lock(here, local, where)
    assert problems == ()
    assert found.engines["e"].executable == "llama-server"
    assert found.engines["e"].package is None
    assert fetch(here, found, local, where) == ()
    binary.write_bytes(b"#!/bin/false\n")
    for problems in (lock(here, local, where, found)[1], fetch(here, found, local, where)):
        assert [each.code for each in problems] == ["LD403"]
    assert stale(here, found, local, where, tools=TOOLS)
    renewed, problems = lock(here, local, where, found, update=["e"])
    assert problems == ()
    assert renewed != found
