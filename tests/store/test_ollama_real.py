"""Real models in an Ollama store: imported without a copy, and really loaded."""

import json
import mmap
import shutil

import pytest
from ollama_kit import OllamaStore, library, weights

from llmdecl.cli import run
from llmdecl.facts.load_run import load_run
from llmdecl.paths import Folders
from llmdecl.sources.ollama.manifest import parse_manifest
from llmdecl.spec.schema import Spec
from llmdecl.store.layout import weights_file
from llmdecl.store.supply import fetch_stack, lock_stack

SYSTEM_OF_NO_OLLAMA = "llmdecl.sources.ollama.local.SYSTEM"


@pytest.fixture
def ollama(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(SYSTEM_OF_NO_OLLAMA, ())
    return OllamaStore(tmp_path / "models")


def spec(name):
    return Spec.model_validate(
        {"version": 1, "engines": {}, "endpoints": {}, "models": {"m": {"source": name}}}
    )


@pytest.mark.real
@pytest.mark.parametrize("model", ["smollm2", "gemma3"])
def test_a_compatible_blob_loads(model, request, ollama, llama_server, tmp_path):
    """The blob of a real model becomes a link of the store's, and llama-server loads that."""
    path = request.getfixturevalue(model)
    manifest = parse_manifest(ollama.add(library(model), [("model", path)]))
    digest = manifest.layers[0].sha256
    blob = ollama.folder / "blobs" / f"sha256-{digest}"
    blob.unlink()
    try:
        blob.hardlink_to(path)  # as large as a pull's file, for no more room
    except OSError:
        shutil.copyfile(path, blob)
    before = blob.stat()
    where = Folders(tmp_path / "s", tmp_path / "store", tmp_path / "c", tmp_path / "r", "0" * 8)
    lock, problems = lock_stack(spec(f"ollama:{model}"), tmp_path, where, None)
    assert problems == ()
    assert fetch_stack(spec(f"ollama:{model}"), lock, tmp_path, where) == ()
    entry = where.store / weights_file(digest, 1)
    assert entry.stat().st_ino == before.st_ino
    kept = [each for each in where.store.rglob("*") if each.is_file() and not each.is_symlink()]
    assert sum(each.stat().st_blocks * 512 for each in kept) < 1 << 16
    argv = ["--model", str(entry), "--ctx-size", "256", "--no-warmup", "--threads", "2"]
    reported, problems = load_run(llama_server, argv, timeout_s=120)
    assert problems == ()
    assert reported
    after = blob.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_mode) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_mode,
    )


@pytest.mark.real
def test_verbs_without_a_spec(smollm2, ollama, tmp_path, monkeypatch, capsys):
    """`inspect` and `fit` take a model of Ollama's, and say of another that it can't be used."""
    for kind in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{kind}_DIR", str(tmp_path / kind.lower()))
    ollama.add(library("smollm2"), [("model", smollm2)])
    ollama.add(library("oss"), [("model", weights("gptoss"))])
    assert run(["inspect", "ollama:smollm2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["architecture"] == "llama"
    assert run(["fit", "ollama:smollm2", "--ram", "8GiB", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"]
    assert run(["inspect", "ollama:oss"]) == 1
    said = capsys.readouterr()
    assert "gptoss" in said.out
    assert "LD462" in said.err
    assert run(["fit", "ollama:oss", "--ram", "8GiB"]) == 1
    assert "hf:ggml-org/gpt-oss-20b-GGUF" in capsys.readouterr().err


@pytest.mark.real
def test_a_refused_layout_does_not_load(gemma3, ollama, llama_server, tmp_path):
    """Gemma 3 without the key that Ollama's converter left out is refused, and rightly so."""
    path = tmp_path / "gemma3.gguf"
    shutil.copyfile(gemma3, path)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        name = b"gemma3.attention.layer_norm_rms_epsilon"
        at = data.find(name, 0, 1 << 20)
        data[at + len(name) - 1] = ord("m")
    ollama.add(library("gemma3", "270m"), [("model", path)])
    where = Folders(tmp_path / "s", tmp_path / "store", tmp_path / "c", tmp_path / "r", "0" * 8)
    _, problems = lock_stack(spec("ollama:gemma3:270m"), tmp_path, where, None)
    assert [each.code for each in problems] == ["LD462"]
    assert "hf:ggml-org/gemma-3-270m-it-GGUF" in problems[0].help[0]
    argv = ["--model", str(path), "--ctx-size", "256", "--no-warmup", "--threads", "2"]
    _, problems = load_run(llama_server, argv, timeout_s=120)
    assert len(problems) == 1
    assert any("layer_norm_rms_epsilon" in note for note in problems[0].notes)
