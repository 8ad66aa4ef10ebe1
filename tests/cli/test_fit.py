"""`llmdecl fit` as a person calls it."""

import json
import shutil

import pytest

from llmdecl.cli import run
from llmdecl.cli.views.fit import bar

SPEC = """
version = 1
[host]
ram = "16GiB"
[engines.llama]
kind = "llama.cpp"
provider = "path"
path = "{engine}"
[models.small]
source = "file:small.gguf"
parallel = 2
[models.other]
source = "file:small.gguf"
cache-type-k = "q8_0"
[endpoints.main]
listen = "127.0.0.1:11434"
"""


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    for name in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)


def fit(capsys, *words, expect=0):
    """Standard output and error of `llmdecl fit`."""
    assert run(["fit", *map(str, words)]) == expect
    return capsys.readouterr()


def report(capsys, *words):
    return json.loads(fit(capsys, *words, "--json").out)


def test_json_of_a_file(capsys, smollm2):
    """Schema 1: pools with margins, a row a quantization, a cell a context, bytes."""
    found = report(capsys, smollm2, "--device", "gpu0:cuda:1GiB", "--ram", "8GiB")
    assert found.keys() == {"schema", "devices", "pools", "models", "diagnostics"}
    assert found["schema"] == 1
    assert found["devices"] == [{"id": "gpu0", "backend": "cuda", "name": "gpu0"}]
    assert found["pools"] == [
        {"pool": "host", "total_bytes": 8 << 30, "margin_bytes": 1 << 30, "bytes": 7 << 30},
        {"pool": "gpu0", "total_bytes": 1 << 30, "margin_bytes": 1 << 29, "bytes": 1 << 29},
    ]
    (model,) = found["models"]
    assert model["name"] == smollm2.name
    assert model["contexts"] == [4096, 8192]
    assert (model["n_ctx_train"], model["parallel"], model["cache_type_k"]) == (8192, 1, "f16")
    rows = {row["file_type"]: row for row in model["quantizations"]}
    assert list(rows) == sorted(rows, key=lambda kind: -rows[kind]["size_bytes"])
    assert rows["Q4_1"]["source"] == f"file:{smollm2.name}"
    assert {kind for kind, row in rows.items() if not row["computed"]} == {"Q4_1"}
    for row in rows.values():
        assert [cell["ctx_size"] for cell in row["cells"]] == model["contexts"]
        for cell in row["cells"]:
            assert cell["fits"] == (cell["left_bytes"] >= 0)
            assert cell["left_bytes"] == min(p["left_bytes"] for p in cell["pools"].values())
            assert cell["placement"]["n_layers"] == 31


def test_settings_of_the_command_line(capsys, smollm2):
    """Slots and cache types change what is left; nothing else is asked of the machine."""
    words = (smollm2, "--device", "gpu0:cuda:4GiB", "--ram", "8GiB")

    def left(*more):
        (model,) = report(capsys, *words, *more)["models"]
        return model["quantizations"][0]["cells"][-1]["pools"]["gpu0"]["left_bytes"]

    assert left("--parallel", "4") < left() < left("--cache-type", "q8_0")


def test_a_spec_with_its_own_settings(capsys, tmp_path, llama_server, smollm2):
    """Every model of a spec that is not locked yet, with its slots and caches; `--model` picks."""
    (tmp_path / "llmdecl.toml").write_text(SPEC.format(engine=llama_server))
    shutil.copy(smollm2, tmp_path / "small.gguf")
    found = report(capsys)
    assert [(m["name"], m["parallel"], m["cache_type_k"]) for m in found["models"]] == [
        ("other", 1, "q8_0"),
        ("small", 2, "f16"),
    ]
    assert found["diagnostics"] == []
    assert [m["name"] for m in report(capsys, tmp_path, "--model", "small")["models"]] == ["small"]
    assert "no model of this spec" in fit(capsys, "--model", "smal", expect=64).err


def test_siblings_are_rows(capsys, tmp_path, smollm2):
    """The same model under another quantization's name is a row with its own source."""
    for kind in ("Q4_1", "Q5_K_M"):
        shutil.copy(smollm2, tmp_path / f"small-{kind}.gguf")
    (model,) = report(capsys, "small-Q4_1.gguf", "--ram", "8GiB")["models"]
    here = [row["source"] for row in model["quantizations"] if not row["computed"]]
    assert sorted(here) == ["file:small-Q4_1.gguf", "file:small-Q5_K_M.gguf"]


def test_the_table(capsys, monkeypatch, smollm2):
    """Heads, bars, margins and the sign for what is not here; narrow screens get more tables."""
    words = (smollm2, "--device", "gpu0:cuda:2GiB", "--ram", "8GiB")
    wide = fit(capsys, *words).out
    assert "gpu0 (cuda): 1.5 GiB of 2.0 GiB for models" in wide
    assert "~Q8_0" in wide
    assert "█" in wide
    assert wide.count(" Q4_1 ") == 1
    monkeypatch.setenv("COLUMNS", "40")
    assert fit(capsys, *words).out.count(" Q4_1 ") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["m.gguf", "--model", "x"],
        ["m.gguf", "--device", "gpu0:cuda"],
        ["m.gguf", "--device", "gpu0:abacus:1GiB"],
        ["m.gguf", "--device", "host:cuda:1GiB"],
        ["m.gguf", "--device", "a:cuda:1GiB", "--device", "a:cuda:1GiB"],
        ["m.gguf", "--ram", "much"],
        ["m.gguf", "--cache-type", "q9"],
        ["m.gguf", "--parallel", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage(capsys, words):
    """Said with status 64, before anything is looked at."""
    assert fit(capsys, *words, expect=64).err


@pytest.mark.parametrize("content", [None, b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\xff" * 64])
def test_bad_files(capsys, tmp_path, content):
    """A diagnostic and status 1."""
    if content is not None:
        (tmp_path / "m.gguf").write_bytes(content)
    assert "error[LD2" in fit(capsys, "m.gguf", expect=1).err


def test_no_spec_here(capsys):
    """Without a target the spec of this folder; there is none."""
    assert "LD901" in fit(capsys, expect=1).err


def test_bars():
    """Eighths of a character; never more than full, never less than empty."""
    assert [bar(share) for share in (-1, 0, 0.5, 1 / 64, 1, 7)] == [
        "·" * 8, "·" * 8, "████····", "▏·······", "█" * 8, "█" * 8,
    ]  # fmt: skip
