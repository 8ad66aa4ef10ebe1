"""Recorded machines: the devices that are found, and what is said where they can't be used."""

import pytest

from llmdecl.cli.views.facts import show_facts
from llmdecl.facts.hardware import look
from llmdecl.facts.hardware.devices import devices_of
from llmdecl.facts.hardware.engines import judged
from llmdecl.facts.hardware.machine import read
from llmdecl.facts.model import DeviceFacts, Facts
from llmdecl.plan.host import host_plan
from llmdecl.spec.schema import Host
from llmdecl.values import from_json, to_json
from tests.facts.recorded import DATA, Recorded, engine, machine

MIB, GIB = 1 << 20, 1 << 30
NAMES = sorted(path.name for path in DATA.iterdir())


def brief(device):
    """What tells a device from others, its memory in MiB."""
    return (
        device.backend,
        device.name,
        device.memory_bytes / MIB,
        device.architecture,
        device.pci,
    )


ONE_DEVICE = {
    "rtx-3090": ("cuda", "NVIDIA GeForce RTX 3090", 24268, "sm_86", "0000:01:00.0"),
    "rtx-4090": ("cuda", "NVIDIA GeForce RTX 4090", 24080, "sm_89", "0000:0a:00.0"),
    "rtx-5090": ("cuda", "NVIDIA GeForce RTX 5090", 32111, "sm_120", "0000:01:00.0"),
    "rx-7900-xtx": ("hip", "AMD Radeon RX 7900 XTX", 24560, "gfx1100", "0000:03:00.0"),
    "strix-halo": ("hip", "AMD Radeon 8060S Graphics", 98304, "gfx1151", "0000:c3:00.0"),
    "arc-a770": ("vulkan", "Intel(R) Arc(tm) A770 Graphics (DG2)", 16288, None, "0000:03:00.0"),
    "jetson-orin": ("cuda", "NVIDIA Jetson AGX Orin Developer Kit", 62841, "sm_87", None),
    "dgx-spark": ("cuda", "NVIDIA GB10", 122570, "sm_121", "000f:01:00.0"),
    "wsl": ("cuda", "NVIDIA GeForce RTX 4080", 16076, "sm_89", "0000:01:00.0"),
    "old-driver": ("cuda", "NVIDIA GeForce GTX 1080 Ti", 11165, None, "0000:02:00.0"),
}


@pytest.mark.parametrize("name", ONE_DEVICE)
def test_one_device(name):
    """Name, memory that can be had, architecture and PCI address, through the native backend."""
    (device,), *_ = machine(name)
    assert "gpu0" == device.id
    assert ONE_DEVICE[name] == brief(device)
    assert not device.declared


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_says_where_it_is_from(name):
    assert (DATA / name / "ORIGIN").read_text().strip()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("listed", ["list-devices.txt", None])
def test_what_holds_on_every_machine(name, listed):
    """Ids count up, addresses and UUIDs are of one device each, facts survive JSON."""
    devices, told, said, _ = machine(name, listed)
    assert [f"gpu{n}" for n in range(len(devices))] == [device.id for device in devices]
    uuids = [device.uuid for device in devices if device.uuid]
    assert len(set(uuids)) == len(uuids)
    for device in devices:
        assert device.memory_bytes > 0
        assert device.memory_bytes % MIB == 0
        assert device.backend in device.backends
        assert set(device.reach) == set(device.backends)
        assert from_json(to_json(device), DeviceFacts) == device
    known = {device.id for device in devices}
    assert all(line.id in known for line in told.devices or ())
    assert all(diagnostic.severity == "warning" for diagnostic in said)
    assert devices == machine(name, listed)[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_moments_free_memory_decides_nothing(name):
    """A plan's devices are the same, whatever is free and whoever uses it."""
    recorded = Recorded(DATA / name)
    host = look(None, {}, recorded).host
    other = tuple(d.replace(free_bytes=1, used_by=()) for d in host.devices)
    one, two = host_plan(None, host), host_plan(None, host.replace(devices=other))
    assert (one.devices, one.budgets) == (two.devices, two.budgets)


def test_nvidias_uuid_driver_and_free_memory():
    """NVML's words; what its driver and firmware keep is not counted as memory."""
    (device,), *_ = machine("rtx-3090", None)
    assert "GPU-0a1b2c3d-1111-2222-3333-444455556666" == device.uuid
    assert "550.107.02" == device.driver
    assert (24576 - 308) * MIB == device.memory_bytes
    assert 24258 * MIB == device.free_bytes
    assert (device.integrated, device.shares_host_memory) == (False, False)


def test_a_card_seen_by_two_backends_is_one_device():
    """CUDA and Vulkan list one card; the native backend is taken, the other is kept."""
    (device,), told, *_ = machine("rtx-5090")
    assert ("cuda", "vulkan") == device.backends
    assert ["gpu0", "gpu0"] == [line.id for line in told.devices]
    assert 0 == device.through("vulkan").engine_index
    # Vulkan counts what firmware keeps and a window into the same memory: not more than CUDA's
    assert device.through("vulkan").memory_bytes == device.memory_bytes


def test_an_engine_with_vulkan_only_makes_it_a_vulkan_device():
    """A laptop with graphics in its processor and a card: the card first, as the engine has it."""
    (card, processor), told, *_ = machine("laptop")
    assert ("vulkan", 1, False) == (card.backend, card.engine_index, card.integrated)
    assert ("vulkan", 0, True) == (processor.backend, processor.engine_index, processor.integrated)
    assert {"Vulkan0": "gpu1", "Vulkan1": "gpu0"} == {d.name: d.id for d in told.devices}
    assert "NVIDIA GeForce RTX 4070 Laptop GPU" == card.name
    assert processor.shares_host_memory
    assert ("cuda", 0) == (card.through("cuda").backend, card.through("cuda").engine_index)
    (card, _), *_ = machine("laptop", None)
    assert "cuda" == card.backend


def test_unequal_cards_are_numbered_by_the_engine():
    """CUDA counts the fastest first; ids go by PCI address, numbers are known from the engine."""
    (ti, rtx), told, *_ = machine("unequal-pair")
    assert ("NVIDIA GeForce RTX 4060 Ti", 16079 * MIB, 1) == (ti.name, ti.memory_bytes, 1)
    assert (1, 0) == (ti.engine_index, rtx.engine_index)
    assert {"CUDA0": "gpu1", "CUDA1": "gpu0"} == {d.name: d.id for d in told.devices}
    unasked, *_ = machine("unequal-pair", None)
    assert [None, None] == [device.engine_index for device in unasked]
    assert [ti.id, rtx.id] == [device.id for device in unasked]


def test_eight_equal_cards():
    """Equal cards are counted by PCI address; each has its own UUID."""
    devices, *_ = machine("eight-a100", None)
    assert list(range(8)) == [device.engine_index for device in devices]
    assert sorted(device.pci for device in devices) == [device.pci for device in devices]
    assert 8 == len({device.uuid for device in devices})


@pytest.mark.parametrize("name", ["h100-mig", "h100-mig-smi"])
def test_a_mig_instance_is_a_device_and_its_card_is_none(name):
    """Each has a UUID and memory of its own; by NVML and by nvidia-smi alike."""
    devices, _, said, _ = machine(name)
    assert [
        ("NVIDIA H100 80GB HBM3 MIG 3g.40gb", "sm_90", "0000:17:00.0"),
        ("NVIDIA H100 80GB HBM3 MIG 2g.20gb", "sm_90", "0000:17:00.0"),
    ] == [(d.name, d.architecture, d.pci) for d in devices[:2]]
    assert devices[0].uuid.startswith("MIG-1c2d3e4f")
    assert 20096 * MIB == devices[1].memory_bytes
    assert all(d.memory_bytes != 81008 * MIB for d in devices if d.pci == "0000:17:00.0")
    assert ["LD233"] == [diagnostic.code for diagnostic in said]  # python3 on the second one


def test_an_engine_sees_one_mig_instance():
    """CUDA shows the first instance only; the others are reached by their UUID."""
    devices, told, *_ = machine("h100-mig")
    assert 3 == len(devices)
    assert ["gpu0"] == [line.id for line in told.devices]
    assert [0, None, None] == [device.engine_index for device in devices]


def test_mig_without_instances():
    """The card can't be used, and that is said."""
    devices, _, said, _ = machine("a100-mig-empty")
    assert () == devices
    assert ["LD232"] == [diagnostic.code for diagnostic in said]
    assert "MIG mode" in said[0].summary


def test_amds_uuid_is_what_rocr_takes():
    (device,), *_ = machine("rx-7900-xtx")
    assert "GPU-9e7f4de7ac7cf81b" == device.uuid
    assert ("hip", "vulkan") == device.backends
    assert 0 == device.through("vulkan").engine_index  # two Vulkan drivers, one device
    assert 24560 * MIB == device.through("vulkan").memory_bytes
    assert (5120, 734003200) == (device.used_by[0].pid, device.used_by[0].bytes)


def test_eight_mi300x():
    """Accelerators that are no displays; names from amd-smi, numbers from the topology."""
    devices, _, said, recorded = machine("mi300x")
    assert 8 == len(devices)
    assert {"gfx942"} == {device.architecture for device in devices}
    assert {"AMD Instinct MI300X"} == {device.name for device in devices}
    assert {196592 * MIB} == {device.memory_bytes for device in devices}
    assert [f"GPU-1a2b3c4d0000000{n}" for n in range(8)] == [device.uuid for device in devices]
    assert list(range(8)) == [device.engine_index for device in devices]
    assert "amdgpu 6.10.5" == devices[0].driver
    assert () == said
    assert ["rocminfo", "vulkaninfo", "amd-smi"] == recorded.asked


def test_unified_memory_of_a_processor():
    """HIP gives GTT alone; Vulkan gives it and the carve-out, which isn't the host's."""
    (device,), *_ = machine("strix-halo")
    assert (device.integrated, device.shares_host_memory) == (True, True)
    assert (96 * GIB, 0) == (device.memory_bytes, device.dedicated_bytes)
    assert 10 * GIB == device.host_bytes(10 * GIB)
    assert device.uuid is None
    (device,), *_ = machine("strix-halo", "list-devices-vulkan.txt")
    assert ("vulkan", 100 * GIB) == (device.backend, device.memory_bytes)
    assert 4 * GIB == device.dedicated_bytes
    assert 6 * GIB == device.host_bytes(10 * GIB)
    assert 96 * GIB == device.through("hip").memory_bytes


@pytest.mark.parametrize("name", ["jetson-orin", "dgx-spark"])
def test_unified_memory_of_a_board(name):
    """All of it is the host's."""
    (device,), *_ = machine(name)
    assert (device.integrated, device.shares_host_memory) == (True, True)
    assert GIB == device.host_bytes(GIB)


def test_a_discrete_card_takes_none_of_the_hosts_memory():
    (device,), *_ = machine("rtx-3090")
    assert 0 == device.host_bytes(GIB)


def test_intel_is_sycls_when_an_engine_lists_it():
    """Only an engine proves that oneAPI runs; names differ in marks."""
    (device,), told, *_ = machine("arc-a770", "list-devices-sycl.txt")
    assert ("sycl", 15473 * MIB) == (device.backend, device.memory_bytes)
    assert ("sycl", "vulkan") == device.backends
    assert "gpu0" == told.devices[0].id
    assert (False, "xe of Linux 6.11.0-17-generic") == (device.integrated, device.driver)


@pytest.mark.parametrize("name", ["no-gpu", "llvmpipe"])
def test_no_accelerator(name):
    """A management chip and Mesa's software renderer are none, and nothing is said."""
    devices, told, said, _ = machine(name)
    assert ((), (), ()) == (devices, told.devices, said)


def test_a_machine_without_graphics_is_asked_nothing():
    assert [] == machine("no-gpu")[3].asked


def test_a_driver_that_was_updated_below_a_running_one():
    """The library's own words and their meaning; no device."""
    devices, _, (said,), _ = machine("broken-driver")
    assert () == devices
    assert "LD231" == said.code
    assert any("version mismatch" in note for note in said.notes)
    assert any("restart" in note for note in said.notes)


def test_a_driver_that_hangs():
    """Said once for each tool that is stuck, and no second tool is sent into the same driver."""
    devices, _, said, recorded = machine("hung-driver")
    assert () == devices
    assert ["LD231", "LD231"] == [diagnostic.code for diagnostic in said]
    assert all("did not answer in time" in diagnostic.summary for diagnostic in said)
    assert ["nvml", "vulkaninfo"] == recorded.asked


def test_a_user_who_may_not_open_the_kfd():
    """Said, and the card is a Vulkan device."""
    (device,), _, (said,), _ = machine("kfd-denied")
    assert ("vulkan", ("vulkan",)) == (device.backend, device.backends)
    assert "LD232" == said.code
    assert "/dev/kfd" in said.summary


def test_memory_that_others_use():
    """Ollama's 4.8 GiB are spoken of, our own process and a desktop are not."""
    (device,), _, (said,), _ = machine("rtx-4090")
    assert ("LD233", "host.devices.gpu0") == (said.code, said.address)
    assert [False, True] == [use.own for use in device.used_by]
    assert "4.8 GiB of 23.5 GiB" in said.summary
    assert 1 == len(said.notes)
    (device,), _, said, _ = machine("rtx-5090")
    assert "/usr/lib/xorg/Xorg" == device.used_by[0].name
    assert () == said


def test_a_vulkaninfo_that_crashes_still_has_a_summary():
    (device,), _, said, recorded = machine("summary-only")
    assert ("vulkan", "0000:03:00.0", 24560 * MIB) == (
        device.backend,
        device.pci,
        device.memory_bytes,
    )
    assert () == said
    assert "vulkaninfo-summary" == recorded.asked[-1]


def test_declared_devices_are_not_looked_for():
    """No tool runs; the engine's lines are matched with what is declared, by name or size."""
    recorded = Recorded(DATA / "unequal-pair")
    host = Host.model_validate(
        {
            "devices": (
                {"id": "big", "backend": "cuda", "memory": "24GiB"},
                {"id": "small", "backend": "cuda", "memory": "16GiB"},
            )
        }
    )
    text = (DATA / "unequal-pair" / "list-devices.txt").read_text()
    looked = look(host, {"llama": engine(text)}, recorded)
    assert [] == recorded.asked
    assert ["big", "small"] == [device.id for device in looked.host.devices]
    assert ["big", "small"] == [line.id for line in looked.engines["llama"].devices]
    assert [24 * GIB, 16 * GIB] == [device.memory_bytes for device in looked.host.devices]


def test_no_devices_can_be_declared():
    """`host.devices = []` is silence about a card that is not to be used."""
    looked = look(Host.model_validate({"devices": ()}), {}, Recorded(DATA / "broken-driver"))
    assert () == looked.host.devices
    assert not any(problem.code in ("LD231", "LD232") for problem in looked.problems)


def test_a_device_that_only_an_engine_knows():
    """No PCI bus, no vulkaninfo: a single-board computer is what its engine lists."""
    text = "Available devices:\n  Vulkan0: V3D 7.1.7.0 (4096 MiB, 4000 MiB free)\n"
    devices, told = judged((), {"llama": engine(text)})
    assert [("gpu0", "vulkan", "V3D 7.1.7.0", 4 * GIB)] == [
        (d.id, d.backend, d.name, d.memory_bytes) for d in devices
    ]
    assert "gpu0" == told["llama"].devices[0].id


NONE = "Available devices:\n  (none)\n"


def asked(name, *backends, listed=NONE):
    """Devices and codes beside an engine with these backends that lists `listed`."""
    recorded = Recorded(DATA / name)
    engines = {"llama": engine(listed, *backends)}
    devices, _, said = devices_of(read(recorded), recorded, engines)
    return devices, [problem.code for problem in said]


def test_a_device_that_no_engine_lists_is_not_used():
    """The engine has CUDA and lists nothing: its driver is too old, nothing is placed there."""
    devices, codes = asked("rtx-3090", "cuda", "vulkan")
    assert ((), ["LD234"]) == (devices, codes)


def test_a_device_is_used_through_the_backend_that_lists_it():
    listed = "Available devices:\n  Vulkan0: NVIDIA GeForce RTX 3090 (24822 MiB, 1 MiB free)\n"
    (device,), codes = asked("rtx-3090", "cuda", "vulkan", listed=listed)
    assert ("vulkan", ("vulkan",), ["LD234"]) == (device.backend, device.backends, codes)
    assert 24268 * MIB == device.memory_bytes


def test_an_engine_without_the_backend_is_no_judge_of_it():
    """What a Vulkan engine doesn't list, another engine's CUDA may still have."""
    (device,), codes = asked("rtx-3090", "vulkan")
    assert (("cuda",), ["LD234"]) == (device.backends, codes)
    (device,), codes = asked("rtx-4090", "hip")
    assert (("cuda",), ["LD233"]) == (device.backends, codes)


def test_mig_instances_beyond_the_first_are_never_listed():
    listed = (DATA / "h100-mig" / "list-devices.txt").read_text()
    devices, codes = asked("h100-mig", "cuda", listed=listed)
    assert (3, ["LD233"]) == (len(devices), codes)
    devices, codes = asked("h100-mig", "cuda")
    assert ((), ["LD234"] * 3) == (devices, codes)


def test_an_engine_that_was_not_asked_says_nothing():
    _, told, *_ = machine("rtx-3090", None)
    assert told.devices is None


@pytest.mark.parametrize("name", NAMES)
def test_the_view_has_a_line_a_device(name, capsys):
    """Every device with its id and name."""
    host = shown_host(name)
    show_facts(Facts(host=host, engines={}, weights={}))
    shown = capsys.readouterr().out
    for device in host.devices:
        assert f"\n{device.id} " in shown
        assert device.name in shown


def test_the_view_tells_carve_out_and_shared_memory(capsys):
    """Of a processor's graphics both kinds, by the backend that gives them."""
    show_facts(Facts(host=shown_host("strix-halo"), engines={}, weights={}))
    shown = capsys.readouterr().out
    assert "gpu0: its memory is the host's\n" in shown
    assert "gpu0: through vulkan it has 100.0 GiB, 4.0 GiB of it set apart" in shown


def shown_host(name):
    return look(None, {}, Recorded(DATA / name)).host
