"""Cases under `golden/`: a spec, facts and a lock in; every artefact, or the diagnostics, out.

`facts.json` and `llmdecl.lock` may hold `"@NAME"`: the content of `golden/parts/NAME`. Run
`pytest tests/test_golden.py --update-golden` to write what is produced as what is expected.
"""

import json
import tomllib
from pathlib import Path

import pytest

from llmdecl.compiler import compile_spec
from llmdecl.diagnostics import Diagnostic
from llmdecl.facts.model import Facts
from llmdecl.spec.schema import Spec
from llmdecl.store.model import Lock
from llmdecl.values import from_json, to_json

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/llmdecl.toml"))


def with_parts(value):
    match value:
        case str() if value.startswith("@"):
            return json.loads((GOLDEN / "parts" / value[1:]).read_text())
        case dict():
            return {key: with_parts(inner) for key, inner in value.items()}
        case list():
            return [with_parts(inner) for inner in value]
        case _:
            return value


def read_case(case):
    spec = Spec.model_validate_json(json.dumps(tomllib.loads((case / "llmdecl.toml").read_text())))
    facts = with_parts(json.loads((case / "facts.json").read_text()))
    lock_path = case / "llmdecl.lock"
    lock = with_parts(json.loads(lock_path.read_text())) if lock_path.exists() else {}
    return spec, from_json(json.dumps(facts), Facts), from_json(json.dumps(lock), Lock)


def as_text(diagnostic: Diagnostic) -> str:
    lines = [
        f"{diagnostic.severity}[{diagnostic.code}] {diagnostic.name}: {diagnostic.summary}",
        f"  at {diagnostic.address}",
        *(f"  note: {note}" for note in diagnostic.notes),
        *(f"  help: {remedy}" for remedy in diagnostic.help),
    ]
    return "\n".join(lines)


def produced(case) -> dict[str, str]:
    compiled = compile_spec(*read_case(case))
    files = {f"expected/{a.path}": a.text for a in compiled.artefacts}
    if compiled.plan is not None:
        files["expected/plan.json"] = to_json(compiled.plan).decode()
    if compiled.diagnostics:
        files["diagnostics.txt"] = "".join(as_text(d) + "\n" for d in compiled.diagnostics)
    return files


def kept(case) -> dict[str, str]:
    paths = [*case.glob("expected/**/*"), case / "diagnostics.txt"]
    return {
        str(path.relative_to(case)): path.read_text() for path in sorted(paths) if path.is_file()
    }


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_golden(case, update_golden):
    """What is compiled is what was agreed on, to the byte."""
    files = produced(case)
    if update_golden:
        for name in kept(case):
            (case / name).unlink()
        for name, text in files.items():
            (case / name).parent.mkdir(parents=True, exist_ok=True)
            (case / name).write_text(text)
    assert files == kept(case)


def test_cases_exist():
    """The table is not empty, and some cases fail on purpose."""
    assert len(CASES) >= 8
    assert any((case / "diagnostics.txt").exists() for case in CASES)
