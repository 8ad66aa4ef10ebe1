"""What a machine adds to the causes of a placement that is not as planned."""

import os

import pytest

from llmdecl.activate import placing
from llmdecl.facts.hardware.nodes import closed_nodes
from llmdecl.plan.model import DevicePlan, PlacementPlan

from .conftest import model, stack_plan

GPU = DevicePlan(
    id="gpu0",
    backend="cuda",
    name="a card",
    memory_bytes=1 << 30,
    engine_name="CUDA0",
    architecture=None,
    uuid="GPU-1",
    endpoint=None,
    integrated=False,
    shares_host_memory=False,
    dedicated_bytes=0,
)
SMOL = model(
    environment=(("CUDA_VISIBLE_DEVICES", "GPU-1"),),
    placement=PlacementPlan(
        devices=("gpu0",), engine_devices=("CUDA0",), n_gpu_layers=31, n_layers=31
    ),
)
PLAN = stack_plan(SMOL, devices=(GPU,))


def test_a_lost_device(monkeypatch):
    """Nodes that are closed, and the UUID that the process was shown, are named after what the log
    names; both numbers come first."""
    monkeypatch.setattr(
        placing, "closed_nodes", lambda backends: tuple(f"/dev/{b}" for b in backends)
    )
    found = placing.differs(PLAN, SMOL, ["0 of 31", "off"], ["the driver"], {"host"})
    assert "0 of 31" in found.summary
    shown = (
        "it was started with CUDA_VISIBLE_DEVICES=GPU-1, which may name no device of this machine"
    )
    causes = ("the driver", "this user may not open /dev/cuda", shown)
    assert ("off", *(f"likely cause: {cause}" for cause in causes)) == found.notes


def test_a_device_that_is_used(monkeypatch):
    """A size that differs has nothing to do with rights."""
    monkeypatch.setattr(placing, "closed_nodes", tuple)
    assert () == placing.differs(PLAN, SMOL, ["5 MiB"], [], {"host", "gpu0"}).notes


@pytest.mark.parametrize(
    ("backend", "node"),
    [("cuda", "nvidiactl"), ("hip", "kfd"), ("vulkan", "dri/renderD128"), ("sycl", "dri/renderD1")],
)
def test_closed_nodes(tmp_path, monkeypatch, backend, node):
    """Nodes of a backend that are there and that this user may not open, and no others."""
    (tmp_path / "dev" / "dri").mkdir(parents=True)
    closed = tmp_path / "dev" / node
    closed.touch()
    (tmp_path / "dev" / "other").touch()
    assert () == closed_nodes([backend], tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert (str(closed),) == closed_nodes([backend], tmp_path)
    assert () == closed_nodes(["rpc", ""], tmp_path)
