"""What an engine's log says next to the plan: pure."""

from pathlib import Path

import pytest

from llmdecl.router.config import Expect, ExpectedPart
from llmdecl.router.placement import judge

LOGS = Path(__file__).parents[1] / "engines" / "data" / "load_logs"
MIB = 1 << 20


def log(name):
    return (LOGS / f"{name}.log").read_text()


def part(pool, name, mib, *, exact=True):
    return ExpectedPart(pool=pool, part=name, bytes=round(mib * MIB), exact=exact)


def cuda(**changes):
    """What `cuda.log` is planned as."""
    return Expect(
        engine="e",
        devices=(("CUDA0", "gpu0"),),
        n_gpu_layers=33,
        n_layers=33,
        flash_attn=True,
        parts=(
            part("gpu0", "weights", 4403.49),
            part("gpu0", "kv-cache", 1024),
            part("gpu0", "compute", 116.01, exact=False),
            part("host", "output", 0.49),
            part("host", "compute", 24.01, exact=False),
        ),
    ).replace(**changes)


def test_as_planned():
    """Nothing differs; where it is and what it takes is said by our names of devices."""
    found = judge(cuda(), log("cuda"))
    assert found.known
    assert (found.differences, found.causes) == ((), ())
    assert found.where == "gpu0 33/33 layers"
    assert round(found.memory()["gpu0"] / MIB, 2) == 4403.49 + 1024 + 116.01


def test_on_the_cpu_as_planned():
    """Without devices there is nothing to miss; mapped weights are not compared."""
    expect = Expect(
        engine="e",
        n_layers=31,
        flash_attn=True,
        parts=(part("host", "kv-cache", 45), part("host", "compute", 15, exact=False)),
    )
    found = judge(expect, log("cpu"))
    assert (found.where, found.differences) == ("CPU", ())


def test_fell_back_to_the_cpu():
    """An engine without a device counts layers all the same: both numbers and the cause are said,
    and no sizes beside them."""
    found = judge(cuda(), log("cuda-driver-mismatch"))
    assert found.where == "CPU"
    assert found.differences == (
        "it computes on the CPU, planned is gpu0 (CUDA0)",
        "0 of 33 layers are on devices, planned are 33",
    )
    assert "driver and CUDA library" in found.causes[0]


def test_no_device_and_no_words():
    """Where the log names nothing, the usual causes are offered."""
    found = judge(cuda(n_gpu_layers=31), log("nothing-found"))
    assert len(found.differences) == 2
    assert "driver or library" in found.causes[0]


def test_another_device():
    """The devices that the engine does see are named."""
    found = judge(cuda(), log("rocm"))
    assert found.differences == ("it uses ROCm0, planned is gpu0 (CUDA0)",)
    assert found.causes == ("the engine sees only ROCm0",)


def test_fewer_layers_and_no_flash_attention():
    """Each difference is said, with the engine's own reason."""
    found = judge(cuda(), log("cuda-partial"))
    assert found.differences == (
        "20 of 33 layers are on devices, planned are 33",
        "flash attention is off, planned is on",
    )
    assert found.causes


def test_two_devices():
    """Each buffer counts for its own device."""
    expect = cuda(
        devices=(("CUDA0", "big"), ("CUDA1", "small")),
        parts=(
            part("big", "weights", 2786.69),
            part("small", "weights", 1616.8),
            part("big", "kv-cache", 704),
            part("small", "kv-cache", 320),
        ),
    )
    found = judge(expect, log("cuda-two"))
    assert found.where == "big+small 33/33 layers"
    assert [d.split(" takes")[0] for d in found.differences] == ["compute", "compute", "compute"]


def test_a_draft_has_parts_of_its_own():
    """A draft's parts are compared with a draft's; a projector's are said and not compared."""
    expect = cuda(
        n_gpu_layers=35,
        n_layers=35,
        parts=(
            part("gpu0", "weights", 2368.18),
            part("gpu0", "kv-cache", 254),
            part("gpu0", "compute", 517),
            part("gpu0", "draft-weights", 235.16),
            part("gpu0", "draft-kv-cache", 24),
            part("gpu0", "draft-compute", 39),
        ),
    )
    found = judge(expect, log("cuda-draft-mmproj"))
    assert found.differences == ("draft-kv-cache takes 12.0 MiB on gpu0, planned are 24.0 MiB",)
    assert "mmproj-compute" in {p.part for p in found.parts}


@pytest.mark.parametrize(
    ("name", "mib", "exact", "differs"),
    [
        ("weights", 4403.49 - 5, True, False),
        ("weights", 4403.49 - 6, True, True),
        ("weights", 4403.49 + 6, True, True),
        ("weights", 4403.49 + 600, False, False),
        ("weights", 4403.49 - 600, False, True),
        ("compute", 116.01 - 31, True, False),
        ("compute", 116.01 - 33, True, True),
        ("compute", 116.01 + 33, True, True),
        ("compute", 116.01 + 900, False, False),
    ],
)
def test_tolerances(name, mib, exact, differs):
    """Exact parts: 0.1 % and 1 MiB; work buffers and bounds: 10 % or 32 MiB, bounds only up."""
    parts = tuple(p for p in cuda().parts if p.part != name or p.pool == "host")
    expect = cuda(parts=(*parts, part("gpu0", name, mib, exact=exact)))
    assert bool(judge(expect, log("cuda")).differences) is differs


@pytest.mark.parametrize("text", ["", "fake llama-server: listening on /run/x.sock\n"])
def test_a_log_that_says_nothing(text):
    """Nothing is known, so nothing differs."""
    found = judge(cuda(), text)
    assert not found.known
    assert not found.differences
