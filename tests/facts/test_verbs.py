"""`inspect` and `facts` on the command line."""

import json

import pytest

from llmdecl.cli import run
from tests.facts import gguf_writer as w
from tests.facts.test_engine import ANSWERS, script

SPEC = """
version = 1
[engines.e]
kind = "llama.cpp"
provider = "path"
path = "llama-server"
[models.m]
source = "file:tiny.gguf"
[endpoints.main]
listen = "127.0.0.1:11434"
"""


def test_inspect_shows_a_summary(tmp_path, capsys):
    assert run(["inspect", "--tensors", str(w.write(tmp_path, w.MODEL))]) == 0
    shown = capsys.readouterr().out
    for words in ("Tiny", "Q8_0 by its tensors, declared Q4_K_M", "4,096", "5 tokens", "2, 4"):
        assert words in shown
    assert "blk.*.attn_q.weight" in shown


def test_inspect_json_is_versioned(tmp_path, capsys):
    assert run(["inspect", "--json", str(w.write(tmp_path, w.MODEL))]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert sorted(shown) == ["diagnostics", "facts", "file", "schema"]
    assert (shown["schema"], shown["file"], shown["diagnostics"]) == (1, "tiny.gguf", [])
    assert shown["facts"]["architecture"] == "llama"


def test_inspect_of_a_bad_file_fails(tmp_path, capsys):
    assert run(["inspect", "--json", str(w.write(tmp_path, b"PK\3\4"))]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["facts"] is None
    assert [one["code"] for one in shown["diagnostics"]] == ["LD202"]
    assert run(["inspect", str(tmp_path / "missing.gguf")]) == 1
    assert "LD201" in "".join(capsys.readouterr())


def test_foreign_text_cannot_steer_the_terminal(tmp_path, capsys):
    """Escape sequences in names are shown, not obeyed."""
    keys = [
        w.key("general.architecture", "str", "llama"),
        w.key("general.name", "str", "\x1b]0;owned\x07\r\nnext"),
    ]
    tensors = [w.tensor("\x1b[2J.weight", (8,))]
    path = w.write(tmp_path, w.gguf(keys, tensors, b"\0" * 32))
    assert run(["inspect", "--tensors", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "owned" in shown
    twice = [w.key("\x1b[2Jk\n", "u8", 1)] * 2
    assert run(["inspect", "--json", str(w.write(tmp_path, w.gguf(twice)))]) == 1
    summary = json.loads(capsys.readouterr().out)["diagnostics"][0]["summary"]
    assert summary.isprintable()


@pytest.fixture
def stack(tmp_path, monkeypatch):
    for name in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{name}_DIR", str(tmp_path / name.lower()))
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "llmdecl.toml").write_text(SPEC)
    script(folder, ANSWERS)
    w.write(folder, w.MODEL)
    monkeypatch.chdir(folder)
    return folder


def test_facts_are_recorded(stack, capsys):
    """On the standard output and in a file the same; exit 1 when something is missing."""
    assert run(["facts", "--json"]) == 0
    shown = capsys.readouterr().out
    assert run(["facts", "--output", "facts.json"]) == 0
    assert (stack / "facts.json").read_text() == shown
    facts = json.loads(shown)
    assert facts["weights"]["file:tiny.gguf"]["gguf"]["name"] == "Tiny"
    assert len(facts["engines"]["e"]["flags"]) == 248
    (stack / "tiny.gguf").unlink()
    assert run(["facts"]) == 1


def test_facts_are_shown(stack, capsys):
    """Without an option, for people: the machine, what the engine lists, the sources."""
    assert run(["facts"]) == 0
    shown = capsys.readouterr().out
    assert "processor" in shown
    assert "CUDA0 = gpu0" in shown
    assert "file:tiny.gguf" in shown


def test_facts_without_a_spec_are_the_machines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["facts", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["host"]["ram_bytes"] > 0
    assert facts["engines"] == facts["weights"] == {}
