"""`plan --verify`: models are loaded as planned, and what differs is said."""

import json

import pytest

from llmdecl.plan.model import MemoryPart, PlacementPlan, Root
from tests.activate.conftest import model, setting, stack_plan

from .test_lifecycle_verbs import Cli, Machine

LOADED = """load_tensors: offloaded 31/31 layers to GPU
load_tensors:          CPU model buffer size =   {mib:.2f} MiB
"""


@pytest.fixture
def machine():
    one = Machine()
    yield one
    one.end()


@pytest.fixture
def cli(machine, monkeypatch, capsys):
    return Cli(machine, monkeypatch, capsys)


def log(tmp_path, mib=100.0, before=""):
    path = tmp_path / "log"
    path.write_text(before + LOADED.format(mib=mib))
    return [("--fake-load-log", path)]


def test_as_planned(cli, machine, tmp_path):
    """Planned and measured stand side by side; nothing is left running, nothing was changed."""
    cli.plan = stack_plan(model("smol", args=log(tmp_path)))
    shown = cli("plan", "--verify")
    assert "smol" in shown.split("verified")[1]
    assert "+0.0 %" in shown
    assert {} == machine.pids()
    report = json.loads(cli("plan", "--verify", "--format", "json"))
    (one,) = report["verified"]
    assert [("weights", 100 << 20, 100 << 20)] == [
        (p["part"], p["planned_bytes"], p["measured_bytes"]) for p in one["parts"]
    ]
    assert not machine.folders.state.exists()


def test_another_size(cli, tmp_path):
    """An exact part of another size is an error with both numbers."""
    cli.plan = stack_plan(model("smol", args=log(tmp_path, 140)))
    cli.fails("LD628", "plan", "--verify")
    assert "140.0 MiB" in cli.err
    assert "100.0 MiB" in cli.err
    assert "+40.0 %" in cli.out


def test_the_processor_instead_of_a_device(cli, tmp_path):
    """An engine that would silently compute on the CPU is found before anything is applied."""
    before = "warning: no usable GPU found, --gpu-layers option will be ignored\n"
    placement = PlacementPlan(
        devices=("gpu0",), engine_devices=("CUDA0",), n_gpu_layers=31, n_layers=31, layers=(31,)
    )
    parts = (MemoryPart(pool="gpu0", part="weights", bytes=100 << 20, exact=True),)
    args = log(tmp_path, before=before)
    cli.plan = stack_plan(model("smol", args=args, placement=placement, memory=parts))
    cli.fails("LD628", "plan", "--verify")
    assert "sees no device" in cli.err


def test_what_does_not_load(cli, tmp_path):
    """Its last words, and the other models all the same."""
    broken = model("broken", args=[("--fake-exit", 1)])
    cli.plan = stack_plan(broken, model("smol", args=log(tmp_path)))
    cli.fails("LD242", "plan", "--verify")
    assert "scripted failure" in cli.err
    assert "smol" in cli.out.split("verified")[1]


def test_what_is_not_here(cli):
    """A model whose weights are not in the store is a warning, as is an engine that does not say
    what it takes."""
    smol = model("smol")
    path = setting("--model", "/weights/ab/model.gguf", address="models.away", root=Root.STORE)
    away = model("away")
    cli.plan = stack_plan(smol, away.replace(settings=(*away.settings, path)))
    cli("plan", "--verify")
    assert 2 == cli.err.count("warning[LD906]")


def test_not_for_another_machine(cli, tmp_path):
    """`--facts` is for a machine that is not here."""
    cli("plan", "--verify", "--facts", str(tmp_path / "facts.json"), expect=64)
