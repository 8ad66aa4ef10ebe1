"""The compiler as a whole: from tables to artefacts, twice the same, anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from llmdecl.cli import root
from llmdecl.cli.compile import write
from llmdecl.compiler import compile_spec
from llmdecl.plan.rules import RULES
from llmdecl.router.config import RouterConfig
from llmdecl.values import from_json, to_json
from tests.test_golden import CASES, GOLDEN, read_case, with_parts

PROGRAM = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from tests.test_golden import CASES, read_case
from llmdecl.compiler import compile_spec
from llmdecl.values import to_json
for case in CASES:
    print(case.name, hashlib.sha256(to_json(compile_spec(*read_case(case)))).hexdigest())
"""


def test_bytes_do_not_depend_on_process_or_folder(tmp_path):
    """Two processes with other hash seeds in other folders agree on every case."""
    tests = str(Path(__file__).parent.parent)
    texts = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, tests],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Asia/Tokyo"},
            capture_output=True,
            check=True,
        ).stdout
        for seed, folder in (("1", tmp_path), ("2", Path("/")))
    }
    assert len(texts) == 1


def test_router_configuration_reads_back():
    """`router.json` is what the router's own reader takes, with every model of the plan."""
    compiled = compile_spec(*read_case(GOLDEN / "everything"))
    text = next(a.text for a in compiled.artefacts if a.path == "router.json")
    config = from_json(text, RouterConfig)
    assert [model.name for model in config.models] == [m.name for m in compiled.plan.models]
    by_name = {endpoint.name: endpoint for endpoint in config.endpoints}
    assert by_name["main"].models == tuple(model.name for model in config.models)
    assert by_name["private"].models == ("big", "embed")


def test_an_error_means_no_artefacts():
    """Whatever is wrong, nothing half-compiled leaves the compiler."""
    for case in CASES:
        compiled = compile_spec(*read_case(case))
        failed = any(d.severity == "error" for d in compiled.diagnostics)
        assert failed == (compiled.plan is None)
        assert not (failed and compiled.artefacts)


def test_diagnostics_are_rules():
    """Codes of the room are unique, in its range, and named once."""
    assert len({rule.code for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.code.startswith("LD3") for rule in RULES)


def test_compile_takes_away_what_is_gone(tmp_path):
    """A folder compiled twice holds the second result and nothing of the first."""
    first = compile_spec(*read_case(GOLDEN / "quickstart")).artefacts
    second = compile_spec(*read_case(GOLDEN / "minimal")).artefacts
    write(tmp_path / "out", first)
    write(tmp_path / "out", second)
    paths = {
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert paths == {*(a.path for a in second), "manifest.json"}


def test_explain_code():
    """A code, in either case, and a rule's name show the same page."""
    pages = [CliRunner().invoke(root, ["explain", w]) for w in ("LD314", "ld314", "ram-overcommit")]
    assert {page.exit_code for page in pages} == {0}
    assert len({page.output for page in pages}) == 1
    assert "LD314" in pages[0].output
    page = json.loads(CliRunner().invoke(root, ["explain", "LD314", "--json"]).output)
    assert (page["schema"], page["name"]) == (1, "ram-overcommit")


def test_compiled_survives_json():
    """What is recorded of a compile can be read again."""
    compiled = compile_spec(*read_case(GOLDEN / "everything"))
    assert from_json(to_json(compiled), type(compiled)) == compiled


def whole_case(name, folder):
    """A golden case as files, with its parts in place."""
    folder.mkdir(parents=True)
    case = GOLDEN / name
    (folder / "llmdecl.toml").write_text((case / "llmdecl.toml").read_text())
    for file in ("facts.json", "llmdecl.lock"):
        content = with_parts(json.loads((case / file).read_text()))
        (folder / file).write_text(json.dumps(content))
    return folder


def run_verb(verb, folder, *words):
    where = [f"--{name}-dir={folder / name}" for name in ("state", "store", "cache")]
    facts = f"--facts={folder / 'facts.json'}"
    return CliRunner().invoke(root, [verb, *words, str(folder), facts, *where])


def test_compile_writes_the_golden_files(tmp_path):
    """The verb writes what the compiler says, the same bytes from any folder, and no state."""
    texts = []
    for place in ("here", "there/and deeper"):
        folder = whole_case("everything", tmp_path / place)
        result = run_verb("compile", folder, "-o", str(folder / "out"))
        assert result.exit_code == 0, result.output
        assert not (folder / "state").exists()
        out = folder / "out"
        texts.append(
            {str(p.relative_to(out)): p.read_text() for p in out.rglob("*") if p.is_file()}
        )
    assert texts[0] == texts[1]
    expected = GOLDEN / "everything/expected"
    for path in expected.rglob("*"):
        if path.is_file():
            assert texts[0][str(path.relative_to(expected))] == path.read_text()


def test_compile_keeps_away_from_strangers(tmp_path):
    """A folder with something else in it is not written to; that is wrong usage."""
    folder = whole_case("minimal", tmp_path / "case")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/letter").write_text("dear")
    result = run_verb("compile", folder, "-o", str(tmp_path / "out"))
    assert isinstance(result.exception, click.UsageError) or result.exit_code == 2
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["letter"]


def test_explain_model(tmp_path):
    """Every flag stands there with its address and reason; an alias is as good as the name."""
    folder = whole_case("everything", tmp_path / "case")
    by_name, by_alias = run_verb("explain", folder, "big"), run_verb("explain", folder, "zeta")
    assert by_name.exit_code == 0
    assert by_name.output == by_alias.output
    assert "15360" in by_name.output
    assert "5000 per request (the spec says so), rounded up to 5120, x 3 slots as one pool" in (
        by_name.output
    )
    page = json.loads(run_verb("explain", folder, "big", "--json").output)
    flags = {setting["flag"]: setting for setting in page["model"]["settings"]}
    assert flags["--prio"]["address"] == "models.big.extra-args"
