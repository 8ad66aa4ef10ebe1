"""A whole store is read again; every kind of entry is judged by what it was when it came."""

import os

import pytest
from lock_kit import RECIPE
from supply_kit import sha256

from llmdecl.store.built import MANIFEST, BuildInputs, Manifest, list_files
from llmdecl.store.layout import built_folder, tree_folder
from llmdecl.store.nar import nar_hash
from llmdecl.store.store import Store
from llmdecl.store.verify import verify
from llmdecl.values import to_json


@pytest.fixture
def engine(where):
    """An engine that was built here: a program, a library and a link."""
    folder = where.store / built_folder(RECIPE)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "llama-server").write_bytes(b"\x7fELF program")
    (folder / "bin" / "libllama.so").write_bytes(b"\x7fELF library")
    (folder / "bin" / "libllama.so.0").symlink_to("libllama.so")
    archive = RECIPE.archive
    inputs = BuildInputs(
        input_hash=RECIPE.input_hash,
        version=RECIPE.version,
        archive_sha256=archive.sha256,
        nar_hash=archive.nar_hash,
        commit=archive.commit,
        build=archive.build,
        backends=RECIPE.backends,
        architectures=RECIPE.architectures,
        cpu=RECIPE.cpu,
        options=RECIPE.options,
    )
    manifest = Manifest(
        inputs=inputs,
        compilers={},
        flags={},
        fixed_path=True,
        tools={"llama-server": "bin/llama-server"},
        files=tuple(list_files(folder)),
    )
    (folder / MANIFEST).write_bytes(to_json(manifest))
    return folder


def test_built(where, engine):
    """A built engine is compared with its manifest: changed, missing and additional files."""
    store = Store(where.store)
    assert verify(store) == ()
    program = engine / "bin" / "llama-server"
    program.write_bytes(b"\x7fELF another")
    name = f"engines/{engine.name}"
    assert verify(store) == ((name, "has another `bin/llama-server`"),)
    program.unlink()
    assert verify(store) == ((name, "lacks `bin/llama-server`"),)
    program.write_bytes(b"\x7fELF program")
    (engine / "bin" / "more").touch()
    assert verify(store) == ((name, "has a `bin/more` too many"),)
    (engine / MANIFEST).unlink()
    assert verify(store) == ((name, "has lost its manifest"),)


def test_adopted(where, tmp_path):
    """Weights of other programs are read where they lie; one that went, or was changed, is said."""
    data, entries = b"GGUF theirs", {}
    for way in ("hard", "symbolic"):
        path = tmp_path / f"{way}.gguf"
        path.write_bytes(data + way.encode())
        entries[way] = where.store / "weights" / sha256(data + way.encode())
        entries[way].mkdir(parents=True)
        target = entries[way] / "model.gguf"
        os.link(path, target) if way == "hard" else target.symlink_to(path)
    assert verify(Store(where.store)) == ()
    (tmp_path / "hard.gguf").unlink()
    assert verify(Store(where.store)) == ()
    (tmp_path / "symbolic.gguf").write_bytes(b"GGUF else")
    assert verify(Store(where.store)) == (
        (f"weights/{entries['symbolic'].name}", f"has SHA-256 {sha256(b'GGUF else')}"),
    )
    (tmp_path / "symbolic.gguf").unlink()
    ((name, why),) = verify(Store(where.store))
    assert name == f"weights/{entries['symbolic'].name}"
    assert why == f"leads to `{tmp_path / 'symbolic.gguf'}`: No such file or directory"


def test_trees(where, tmp_path):
    """A source tree is compared with the NAR hash in its name."""
    (tmp_path / "tree" / "src").mkdir(parents=True)
    (tmp_path / "tree" / "src" / "x.c").write_bytes(b"int x;")
    entry = where.store / tree_folder(nar_hash(tmp_path / "tree"))
    entry.parent.mkdir(parents=True)
    (tmp_path / "tree").rename(entry)
    assert verify(Store(where.store)) == ()
    (entry / "src" / "x.c").write_bytes(b"int y;")
    ((name, why),) = verify(Store(where.store))
    assert name == f"trees/{entry.name}"
    assert why.startswith("has the NAR hash of trees/")
