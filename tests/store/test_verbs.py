"""`llmdecl lock` and `llmdecl fetch`."""

import pytest
from supply_kit import TOOLS, sha256

from llmdecl.cli import run

SPEC = """\
version = 1

[engines.here]
kind = "llama.cpp"
provider = "path"
path = "llama-server"

[models.tiny]
source = "pypi:tiny-model==1.0/m.gguf"

[models.local]
source = "file:w.gguf"

[endpoints.main]
listen = "127.0.0.1:18080"
"""


@pytest.fixture
def folder(index, tmp_path, monkeypatch):
    """A folder with a spec, a local model and an engine, and the working directory."""
    index.add("tiny-model", "1.0", {"m.gguf": b"GGUF tiny"})
    monkeypatch.setattr("llmdecl.store.supply.real_tools", lambda folders: TOOLS)
    for kind in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{kind}_DIR", str(tmp_path / kind.lower()))
    base = tmp_path / "stack"
    base.mkdir()
    (base / "llmdecl.toml").write_text(SPEC)
    (base / "w.gguf").write_bytes(b"GGUF local")
    (base / "llama-server").write_bytes(b"#!/bin/true\n")
    (base / "llama-server").chmod(0o755)
    monkeypatch.chdir(base)
    return base


def test_lock_then_fetch(folder, tmp_path, capsys):
    """The way of a newcomer: pins are said, then brought; a second time there is nothing to do."""
    assert run(["lock", "--check"]) == 2
    assert "does not exist" in capsys.readouterr().out
    assert run(["lock"]) == 0
    out = capsys.readouterr().out
    assert "+ engines.here" in out
    assert f"+ file:w.gguf  10 B, sha256 {sha256(b'GGUF local')[:12]}" in out
    assert run(["lock", "--check"]) == 0
    before = (folder / "llmdecl.lock").read_bytes()
    capsys.readouterr()
    assert run(["lock"]) == 0
    assert "no changes" in capsys.readouterr().out
    assert (folder / "llmdecl.lock").read_bytes() == before
    assert run(["fetch", "--dry-run"]) == 0
    assert "+ file:w.gguf  link to the local file" in capsys.readouterr().out
    assert not (tmp_path / "store/weights" / sha256(b"GGUF local")).exists()
    assert run(["fetch"]) == 0
    assert (tmp_path / "store/weights" / sha256(b"GGUF local") / "model.gguf").is_symlink()
    capsys.readouterr()
    assert run(["fetch"]) == 0
    assert "nothing to bring; all verified" in capsys.readouterr().out


def test_failure_writes_nothing(folder, capsys):
    """With one source that fails no lock is written; the message has the spec's line."""
    (folder / "w.gguf").unlink()
    assert run(["lock"]) == 1
    said = capsys.readouterr()
    assert "LD402" in said.out + said.err
    assert "llmdecl.toml:12" in said.out + said.err
    assert not (folder / "llmdecl.lock").exists()


def test_changed_file(folder, capsys):
    """A changed file needs --update, by name."""
    assert run(["lock"]) == 0
    (folder / "w.gguf").write_bytes(b"GGUF other")
    assert run(["lock"]) == 1
    assert run(["lock", "--check"]) == 2
    assert run(["lock", "--update", "nobody"]) == 1
    capsys.readouterr()
    assert run(["lock", "--update", "local"]) == 0
    assert "~ file:w.gguf" in capsys.readouterr().out


def test_broken_lock(folder, capsys):
    """A broken lock is neither used nor overwritten."""
    (folder / "llmdecl.lock").write_text("<<<<<<< HEAD\n")
    for verb in ("lock", "fetch"):
        assert run([verb]) == 1
        said = capsys.readouterr()
        assert "LD412" in said.out + said.err
    assert (folder / "llmdecl.lock").read_text() == "<<<<<<< HEAD\n"


def test_update_everything(folder, capsys):
    """`--update` without a name pins everything anew; the change says which model it touches."""
    assert run(["lock"]) == 0
    (folder / "w.gguf").write_bytes(b"GGUF another")
    capsys.readouterr()
    before = (folder / "llmdecl.lock").read_bytes()
    assert run(["lock", "--check", "--update"]) == 2
    said = capsys.readouterr().out
    assert "~ file:w.gguf  (local)\n    size 10 B -> 12 B\n    sha256 " in said
    assert "1 change; nothing was written" in said
    assert (folder / "llmdecl.lock").read_bytes() == before
    assert run(["lock", "--check", "--update", "tiny"]) == 1  # the other file is not as pinned
    assert run(["lock", "--update"]) == 0
    assert run(["lock", "--check", "--update"]) == 0
    assert "an update would change nothing" in capsys.readouterr().out


def test_schema_is_said(folder, capsys):
    """A lock of a former schema is used as it is, and written in this one by the next `lock`."""
    assert run(["lock"]) == 0
    path = folder / "llmdecl.lock"
    current = path.read_bytes()
    path.write_bytes(current.replace(b'"schema": 2', b'"schema": 1'))
    capsys.readouterr()
    assert run(["lock", "--check"]) == 0
    assert "it has schema 1; `llmdecl lock` writes schema 2" in capsys.readouterr().out
    assert run(["fetch"]) == 0
    assert b'"schema": 1' in path.read_bytes()
    assert run(["lock"]) == 0
    assert "~ llmdecl.lock  schema 1 -> 2" in capsys.readouterr().out
    assert path.read_bytes() == current


def test_offline(folder, monkeypatch):
    """With everything locked and here, no verb opens a connection or starts pip."""
    assert run(["lock"]) == 0
    assert run(["fetch"]) == 0

    def refuse(*_args, **_options):
        raise AssertionError("a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("llmdecl.sources.pip.Pip.resolve", refuse)
    monkeypatch.setattr("llmdecl.sources.pip.Pip.download", refuse)
    for verb in (["lock"], ["lock", "--check"], ["fetch"]):
        assert run(verb) == 0


def test_a_spec_after_update(folder, capsys):
    """A SPEC that stands where a name is taken is said; before `--update` it is one."""
    assert run(["lock", "--update", "llmdecl.toml"]) == 1
    said = "".join(capsys.readouterr())
    assert "LD417" in said
    assert "a SPEC stands before `--update`" in said
    assert run(["lock", "llmdecl.toml", "--update"]) == 0


def test_check_says_whom_it_touches(folder, capsys):
    """What is not locked is said with the models that need it."""
    assert run(["lock"]) == 0
    spec = folder / "llmdecl.toml"
    spec.write_text(spec.read_text().replace("file:w.gguf", "file:./w.gguf"))
    capsys.readouterr()
    assert run(["lock", "--check"]) == 2
    assert "+ file:./w.gguf  is not locked  (local)" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["lock", "--update"], ["fetch"], ["gc"]])
def test_store_that_can_not_be_made(folder, tmp_path, capsys, verb):
    """A store below something that is no folder is a diagnostic of every verb that writes there."""
    assert run(["lock"]) == 0
    (tmp_path / "file").write_bytes(b"")
    capsys.readouterr()
    assert run([*verb, "--store-dir", str(tmp_path / "file" / "store")]) == (verb != ["gc"])
    assert ("LD419" in capsys.readouterr().err) == (verb != ["gc"])
