"""A model that is somewhere else than planned does not pass."""

from pathlib import Path

import pytest

from llmdecl.activate.survey import survey
from llmdecl.diagnostics import Failure
from llmdecl.plan.model import MemoryPart, PlacementPlan

from .conftest import model, stack_plan, wait_until

LOGS = Path(__file__).parents[1] / "engines" / "data" / "load_logs"
MIB = 1 << 20


def placed(log, **changes):
    """A model planned onto a device, whose engine says what is in `log`."""
    return model(
        args=[("--fake-load-log", LOGS / f"{log}.log")],
        load="startup",
        placement=PlacementPlan(
            devices=("gpu0",), engine_devices=("CUDA0",), n_gpu_layers=33, n_layers=33
        ),
        memory=(
            MemoryPart(pool="gpu0", part="weights", bytes=round(4403.49 * MIB), exact=True),
            MemoryPart(pool="gpu0", part="kv-cache", bytes=1024 * MIB, exact=True),
            MemoryPart(pool="gpu0", part="compute", bytes=120 * MIB, exact=False),
        ),
        **changes,
    )


def plan_of(*models):
    from llmdecl.plan.model import Budget

    budgets = tuple(
        Budget(pool=pool, total_bytes=24 << 30, margin_bytes=0) for pool in ("host", "gpu0")
    )
    return stack_plan(*models, budgets=budgets)


def shown(machine):
    return survey(machine.hands()).models[0].placement


def test_as_planned(machine):
    """The gate passes; `status` says where the model is, and what it really takes is kept."""
    plan = plan_of(placed("cuda"))
    machine.apply(plan)
    assert shown(machine).where == "gpu0 33/33 layers"
    assert not shown(machine).differences
    file = machine.folders.state / "measured" / f"{plan.models[0].digest}.json"
    wait_until(file.is_file, "the measurement is kept")


def test_silent_cpu_fails_the_gate(machine):
    """An engine that fell back to the CPU is a failed apply with the cause; the generation before
    is in force again."""
    before = plan_of(model(load="startup"))
    machine.apply(before)
    with pytest.raises(Failure) as failure:
        machine.apply(plan_of(placed("cuda-driver-mismatch")))
    (found,) = failure.value.diagnostics
    assert failure.value.status == 3
    assert found.code == "LD628"
    assert "planned is gpu0" in found.summary
    assert any("driver and CUDA library" in note for note in found.notes)
    generations = machine.hands().generations
    assert 1 == generations.pointer("current") == generations.pointer("wanted")
    assert not machine.diff(before)


def test_a_later_start_is_loud_and_serves(machine, tmp_path):
    """A start outside apply that falls back to the CPU serves on; status, metrics and the router's
    log say it, and going back to such a generation is a warning."""
    log = tmp_path / "log"
    log.write_text((LOGS / "cuda.log").read_text())
    one = placed("cuda")
    args = [("--fake-load-log", log)]
    one = model(args=args, load="startup", placement=one.placement, memory=one.memory)
    machine.apply(plan_of(one))
    log.write_text((LOGS / "cuda-driver-mismatch.log").read_text())
    answer = machine.hands().router.restart("smol", timeout_s=20)
    assert answer.ok
    found = wait_until(lambda: shown(machine), "the log was read")
    assert found.where == "CPU"
    assert len(found.differences) == 2
    said = (machine.folders.state / "logs" / "router.log").read_text()
    assert "not as planned: it computes on the CPU" in said
    with pytest.raises(Failure) as failure:
        machine.apply(plan_of(one.replace(ttl_s=77.0)))
    assert [d.code for d in failure.value.diagnostics] == ["LD628"]
    assert machine.hands().generations.pointer("wanted") == 1


def test_a_log_that_says_nothing_is_a_warning(machine):
    """An engine planned onto a device whose log is silent is believed, with a warning."""
    one = placed("cuda")
    plan = plan_of(model(load="startup", placement=one.placement, memory=one.memory))
    _, warnings = machine.apply(plan)
    assert [w.code for w in warnings] == ["LD629"]
