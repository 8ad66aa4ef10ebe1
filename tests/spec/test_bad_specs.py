"""Bad specs under `golden_bad/`: code, address and place of everything that is wrong with each.

`pytest tests/spec --update-golden` writes what is said as what is expected; read the difference.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmdecl.cli import run
from llmdecl.cli.views.diagnostics import concise
from llmdecl.diagnostics import has_errors
from llmdecl.spec.load import load_spec
from llmdecl.spec.rules import RULES

CASES = sorted(
    path for path in (Path(__file__).parent.parent / "golden_bad").iterdir() if path.is_dir()
)
CORPUS = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def spec_of(case):
    return next(case.glob("llmdecl.*"))


@CORPUS
def test_everything_wrong_is_said_in_its_place(case, monkeypatch, update_golden):
    """A bad spec gives exactly the diagnostics that stand beside it, and no `Spec`."""
    monkeypatch.chdir(case)
    loaded = load_spec(Path(spec_of(case).name))
    said = concise(loaded.diagnostics, False) + "\n"
    if update_golden:
        (case / "diagnostics.txt").write_text(said)
    assert (case / "diagnostics.txt").read_text() == said
    assert has_errors(loaded.diagnostics)
    assert loaded.spec is None


@CORPUS
@pytest.mark.parametrize("style", ["human", "concise", "json"])
def test_check_ends_with_1_in_every_format(case, style, capsys, monkeypatch):
    """`llmdecl check` says it and ends with status 1, whatever the format."""
    monkeypatch.chdir(case)
    assert 1 == run(["check", "--format", style])
    out = capsys.readouterr().out
    first = (case / "diagnostics.txt").read_text().splitlines()[0]
    code = next(word for word in first.split() if word.startswith("LD"))
    assert code in out
    if style == "json":
        assert json.loads(out)["summary"]["errors"] > 0


@pytest.mark.parametrize("name", ["many-at-once", "very-deep", "utf-16", "json-surrogate"])
def test_no_traceback_from_the_command_itself(name):
    """The program as a person starts it: status 1, nothing from Python."""
    case = next(case for case in CASES if case.name == name)
    done = subprocess.run(
        [sys.executable, "-m", "llmdecl", "check", spec_of(case).name],
        cwd=case,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert 1 == done.returncode
    assert b"Traceback" not in done.stdout + done.stderr
    assert b"LD1" in done.stdout


def test_the_corpus_knows_every_rule():
    """Each rule of the room has a case, but those that are about files and not their content."""
    said = "".join((case / "diagnostics.txt").read_text() for case in CASES)
    missing = {rule.name for rule in RULES if rule.code not in said}
    assert {"spec-unreadable", "spec-format-unknown"} == missing


@pytest.mark.parametrize("name", ["absent.toml", "folder.toml", "spec.yaml", "nul\0.toml"])
def test_files_that_are_no_specs(tmp_path, name):
    """What can't be read is a diagnostic, too."""
    if name == "folder.toml":
        (tmp_path / name).mkdir()
    loaded = load_spec(tmp_path / name)
    assert loaded.spec is None
    assert {"LD101", "LD102"} >= {problem.code for problem in loaded.diagnostics}
    assert loaded.diagnostics


def test_a_file_too_large_for_a_spec(tmp_path):
    """Four megabytes are more than anyone writes."""
    path = tmp_path / "llmdecl.toml"
    path.write_bytes(b"#" * (5 << 20))
    assert ["LD101"] == [problem.code for problem in load_spec(path).diagnostics]
