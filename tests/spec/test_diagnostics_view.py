"""How diagnostics are shown."""

import json

import click
import pytest

from llmdecl.cli import run
from llmdecl.cli.views.diagnostics import as_json, concise, human
from llmdecl.diagnostics import Rule, Severity, Span

RULE = Rule("LD301", "overcommit", Severity.ERROR, "")
LINE = "ctx-size = 131072"


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "llmdecl.toml"
    path.write_text(
        f"# one\n{LINE}\n\tg = '漢字é', x = 1\nlong = '{'x' * 400}', y = 2\nesc = '\x1b[31m'\n"
    )
    return path


def shown(*problems):
    return click.unstyle(human(problems, True)).split("\n")


def test_the_form_of_the_style_page(spec):
    """Head, place, source line, underline, notes, help."""
    problem = RULE.at(
        "models.qwen3.ctx-size",
        "`qwen3` needs 29.3 GiB",
        span=Span(str(spec), 2, 12, 2, 18),
        notes=["weights 17.3 GiB", "first\nsecond"],
        help=["`ctx-size = 32768` fits"],
    )
    assert [
        "error[LD301]: `qwen3` needs 29.3 GiB",
        f" --> {spec}:2:12  models.qwen3.ctx-size",
        "  |",
        "2 | ctx-size = 131072",
        "  |            ^^^^^^",
        "  = note: weights 17.3 GiB",
        "  = note: first",
        "          second",
        "  = help: `ctx-size = 32768` fits",
        "",
        "1 error; `llmdecl explain LD301` says more",
    ] == shown(problem)


def test_tabs_and_wide_characters(spec):
    """The underline stands under its place: tabs are four columns, wide characters two."""
    line = spec.read_text().split("\n")[2]
    column = line.index("x") + 1
    lines = shown(RULE.at("a", "b", span=Span(str(spec), 3, column, 3, column + 1)))
    assert "3 |     g = '漢字é', x = 1" == lines[3]
    assert "  |" + " " * 18 + "^" == lines[4]


def test_long_lines_and_control_characters(spec):
    """A place far to the right is shown; nothing in a spec can steer the terminal."""
    lines = shown(RULE.at("a", "b", span=Span(str(spec), 4, 411, 4, 412)))
    assert len(lines[3]) < 250
    assert "^" == lines[4].strip("| ")
    problem = RULE.at("a\x1b[0m", "c\nd", span=Span(str(spec), 5, 1, 5, 4))
    for text in (human([problem], True), concise([problem], True), as_json([problem], True)):
        assert "\x1b[31m'" not in text
        assert "\x1b[0m\n" not in click.unstyle(text)
    assert 1 == len(concise([problem], True).split("\n"))


def test_without_a_place_the_address_stays():
    """An unplaced problem, and one whose file is gone."""
    assert " --> host.ram" == shown(RULE.at("host.ram", "b"))[1]
    assert (
        " --> gone.toml:1:1  a" == shown(RULE.at("a", "b", span=Span("gone.toml", 1, 1, 1, 2)))[1]
    )
    assert "LD301 error host.ram: b" == concise([RULE.at("host.ram", "b")], True)


def test_json(spec):
    """A version, everything that is known, and the count."""
    document = json.loads(as_json([RULE.at("a", "b", span=Span("f", 1, 2, 3, 4))], False))
    assert {
        "schema": 1,
        "complete": False,
        "diagnostics": [
            {
                "code": "LD301",
                "name": "overcommit",
                "severity": "error",
                "summary": "b",
                "address": "a",
                "span": {"file": "f", "line": 1, "column": 2, "end_line": 3, "end_column": 4},
                "notes": [],
                "help": [],
            }
        ],
        "summary": {"errors": 1, "warnings": 0},
    } == document


def test_check_of_a_good_spec(tmp_path, capsys, monkeypatch):
    """Status 0, and what was not looked at is said; warnings don't count."""
    monkeypatch.chdir(tmp_path)
    good = """
version = 1
engines.a = { kind = "llama.cpp", provider = "path", path = "x" }
models.a.source = "file:a.gguf"
endpoints.a.listen = "127.0.0.1:1"
"""
    path = tmp_path / "llmdecl.toml"
    path.write_text(good)
    assert 0 == run(["check"])
    assert capsys.readouterr().out.startswith("llmdecl.toml: no problems\nnothing is locked yet")
    path.write_text(good.replace("127.0.0.1", "0.0.0.0"))
    assert 0 == run(["check", "--format", "concise"])
    assert "llmdecl.toml:5:22: LD137 warning endpoints.a.listen:" in capsys.readouterr().out
    assert 0 == run(["check", "--format", "json"])
    assert {"errors": 0, "warnings": 1} == json.loads(capsys.readouterr().out)["summary"]


def test_check_where_there_is_no_spec(tmp_path, capsys):
    """A folder without one, a file that is not there, a format that there is not."""
    assert 1 == run(["check", str(tmp_path)])
    assert "LD901" in capsys.readouterr().out
    assert 1 == run(["check", str(tmp_path / "x.toml"), "--format", "json"])
    assert "LD101" == json.loads(capsys.readouterr().out)["diagnostics"][0]["code"]
    assert 64 == run(["check", "--format", "xml"])
