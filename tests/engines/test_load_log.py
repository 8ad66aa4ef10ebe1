"""What an engine says while it loads, read from recorded logs."""

from pathlib import Path

import pytest

from llmdecl.engines.llama_cpp.load_failures import causes_of
from llmdecl.engines.llama_cpp.load_log import (
    causes,
    is_loaded,
    last_start,
    read_load_log,
)

LOGS = Path(__file__).parent / "data" / "load_logs"
MIB = 1 << 20


def read(name):
    return read_load_log((LOGS / f"{name}.log").read_text())


def mib(reported):
    return {key: round(size / MIB, 2) for key, size in reported.sums().items()}


def test_cpu():
    """Without a device everything is the host's, and no layer is on a device."""
    (one,) = read("cpu")
    assert (one.devices, one.on_devices, one.layers_total) == ((), 0, 31)
    assert (one.n_ctx, one.n_seq_max, one.flash_attn) == (2048, 1, True)
    assert mib(one) == {
        ("host", "weights"): 92.1,
        ("host", "kv-cache"): 45.0,
        ("host", "output"): 0.19,
        ("host", "compute"): 15.51,
    }


def test_repacked_copies_and_two_caches():
    """Repacked weights are a part of their own; the caches of a sliding-window model add up."""
    (one,) = read("cpu-repacked")
    assert mib(one)["host", "weights"] == 235.16
    assert mib(one)["host", "repacked"] == 12.66
    assert mib(one)["host", "kv-cache"] == 36.0


def test_a_device():
    """A device's buffers are under the engine's name of it, without an address."""
    (one,) = read("rpc")
    assert (one.devices, one.on_devices, one.layers_total) == (("RPC0",), 31, 31)
    assert mib(one)["RPC0", "weights"] == 92.1
    assert mib(one)["host", "compute"] == 4.26


def test_buffers_of_two_servers():
    """Both servers call their device RPC0; the engine's names for the devices tell them apart."""
    (one,) = read("rpc-two")
    assert one.listed == one.devices == ("RPC0", "RPC1")
    assert mib(one)["RPC0", "weights"] == 32.39
    assert mib(one)["RPC1", "weights"] == 202.77
    assert mib(one)["RPC1", "kv-cache"] == 11.0


def test_devices_that_compute_as_one():
    """`--split-mode tensor`: every device is in use, and holds at most what the log says."""
    (one,) = read("tensor")
    assert one.devices == ("RPC0", "RPC1")
    assert (one.on_devices, one.layers_total) == (31, 31)
    for device in one.devices:
        assert mib(one)[device, "weights"] == 60.46
        assert mib(one)[device, "kv-cache"] == 45.0
        assert mib(one)[device, "compute"] == 16.38
    assert mib(one)["host", "compute"] == 6.26


def test_some_layers():
    """Layers on the device and those beside it."""
    (one,) = read("rpc-partial")
    assert (one.on_devices, one.layers_total, one.flash_attn) == (12, 31, True)
    assert mib(one)["host", "kv-cache"] == 28.5
    assert mib(one)["RPC0", "kv-cache"] == 16.5


def test_a_draft_is_a_block_of_its_own():
    """Draft and model have buffers of the same names, which are not mixed."""
    model, draft = read("rpc-draft")
    assert (model.role, draft.role) == ("model", "draft")
    assert mib(model)["RPC0", "weights"] == mib(draft)["RPC0", "weights"] == 92.1


def test_a_projector_is_not_a_draft():
    """Draft and projector are told apart, and the projector's work buffer is its own."""
    model, draft, projector = read("cuda-draft-mmproj")
    assert [one.role for one in (model, draft, projector)] == ["model", "draft", "mmproj"]
    assert mib(model)["CUDA0", "compute"] == 517.0
    assert mib(draft)["CUDA0", "compute"] == 39.0
    assert mib(projector)["CUDA0", "compute"] == 1132.0


def test_layers_are_counted_without_a_device():
    """An engine that found no device says that all layers are offloaded; none is on a device."""
    (one,) = read("nothing-found")
    assert (one.layers_offloaded, one.layers_total) == (31, 31)
    assert one.on_devices == 0


@pytest.mark.parametrize(("name", "device"), [("cuda", "CUDA0"), ("rocm", "ROCm0")])
def test_cuda_and_rocm(name, device):
    """Pinned host buffers are the host's."""
    (one,) = read(name)
    assert one.devices == (device,)
    assert (one.on_devices, one.flash_attn, one.pipeline_parallel) == (33, True, False)
    assert mib(one) == {
        ("host", "weights"): 281.81,
        (device, "weights"): 4403.49,
        ("host", "output"): 0.49,
        (device, "kv-cache"): 1024.0,
        (device, "compute"): 116.01,
        ("host", "compute"): 24.01,
    }


def test_two_devices_in_a_pipeline():
    """Pipeline parallelism is said; flash attention is what `auto` became."""
    (one,) = read("cuda-two")
    assert one.devices == ("CUDA0", "CUDA1")
    assert one.pipeline_parallel
    assert one.flash_attn is True


def test_flash_attention_turned_off():
    """What the engine turned off is off, and of a buffer reserved twice the last counts."""
    (one,) = read("cuda-partial")
    assert one.flash_attn is False
    assert mib(one)["CUDA0", "compute"] == 670.48


def test_recurrent_state_on_vulkan():
    """Parentheses in a device's name do no harm; the recurrent state is a part."""
    (one,) = read("vulkan-recurrent")
    assert one.devices == one.listed == ("Vulkan0",)
    assert mib(one)["Vulkan0", "recurrent"] == 73.12
    assert mib(one)["host", "output"] == 0.38


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cuda-out-of-memory", "less memory free"),
        ("cuda-driver-mismatch", "driver and CUDA library"),
        ("cuda-no-kernel", "not built for this device"),
        ("rocm-no-device", "/dev/kfd"),
        ("no-such-device", "does not see a device of this name"),
        ("rpc-dead", "RPC server does not answer"),
    ],
)
def test_causes(name, words):
    """Each of the usual failures is named, first of all."""
    assert words in causes(read(name)[0])[0]


def test_a_line_has_one_cause():
    """`invalid device ordinal` is no unknown name of a device."""
    line = "CUDA error: invalid device ordinal"
    assert causes_of([line]) == ("a device is not visible to the process",)


def test_the_last_start():
    """A log of several starts is read from the last."""
    text = (LOGS / "cuda.log").read_text() + (LOGS / "cpu.log").read_text()
    assert read_load_log(last_start(text)) == read("cpu")


def test_loaded_or_not():
    """A log that ends before the model was loaded says so; so does an empty one."""
    text = (LOGS / "cpu.log").read_text()
    assert is_loaded(text)
    assert not is_loaded(text[: text.index("model loaded")])
    assert not is_loaded("")
    assert read_load_log("")[0].buffers == ()


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.stem)
def test_cut_anywhere(path):
    """A log cut off at any line is read without an error."""
    lines = path.read_text().splitlines()
    for end in range(len(lines)):
        assert read_load_log("\n".join(lines[:end]))
