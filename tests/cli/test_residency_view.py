"""What `llmdecl plan` tells of models that may be loaded together."""

import json

from llmdecl.activate.changes import ChangeSet
from llmdecl.cli.views.changes import show_plan_json
from llmdecl.cli.views.residency import show_residency
from llmdecl.compiler import compile_spec
from llmdecl.plan.model import Residency, ResidencyGroup
from tests.test_golden import GOLDEN, read_case


def shown(capsys, residency):
    plan = compile_spec(*read_case(GOLDEN / "everything")).plan
    show_residency(plan.replace(residency=residency))
    return capsys.readouterr().out


def test_choices(capsys):
    """Permanent models, those that are always free to load, and the sets of those that compete."""
    names = [model.name for model in compile_spec(*read_case(GOLDEN / "everything")).plan.models]
    groups = (
        ResidencyGroup(models=(names[1],), sets=((names[1],),)),
        ResidencyGroup(models=("x", "y"), sets=(("x",), ("y",)), complete=False),
    )
    lines = shown(capsys, Residency(permanent=(names[0],), groups=groups)).splitlines()
    assert lines[1].split() == ["loaded", "together", "host"]
    assert lines[2].split()[:2] == ["always", names[0]]
    assert lines[3].split()[:3] == ["whenever", "wanted", names[1]]
    assert lines[4].split() == ["and", "one", "of", "x"]
    assert lines[5].split() == ["y"]
    assert "too many sets" in lines[6]


def test_all_at_once(capsys):
    """Nobody competes: one line."""
    plan = compile_spec(*read_case(GOLDEN / "everything")).plan
    assert shown(capsys, plan.residency) == "\nall models may be loaded at the same time\n"


def test_for_programs(capsys):
    """`--format json` carries all sets, and each device's ledger with its models."""
    plan = compile_spec(*read_case(GOLDEN / "llama-swap")).plan
    show_plan_json(ChangeSet(changes=()), plan)
    report = json.loads(capsys.readouterr().out)
    assert report["residency"]["permanent"] == ["embed"]
    assert [group["sets"] for group in report["residency"]["groups"]] == [
        [["chat"], ["code"]],
        [["long_context"], ["tiny-2"]],
    ]
    models = {pool["pool"]: [m["name"] for m in pool["models"]] for pool in report["memory"]}
    assert models["gpu0"] == ["chat", "code"]
    assert models["gpu1"] == ["long_context", "tiny-2"]
    assert len(models["host"]) == 5
