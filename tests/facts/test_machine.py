"""The edge of hardware probes: programs that answer, fail, hang; NVML as a program of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmdecl.facts.hardware.machine import Machine
from llmdecl.facts.hardware.nvidia import nvidia
from llmdecl.facts.hardware.probes import NVML, Tool
from llmdecl.facts.hardware.reading import Reading

TOOL = Tool(name="tool", argv=("a-gpu-tool", "--all"), timeout_s=10)
LASTING = TOOL.replace(lasting=True)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Writes the program `a-gpu-tool`, found by PATH."""

    def write(text, first="#!/bin/sh"):
        path = tmp_path / "bin" / "a-gpu-tool"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{first}\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        return path

    return write


def test_a_tool_that_is_not_installed():
    said = Machine().ask(TOOL)
    assert ("absent", False) == (said.problem, said.ok)


def test_a_tools_words_and_status(tool):
    """Both outputs, its arguments, and no variable that hides devices."""
    tool('echo "out $1 [$CUDA_VISIBLE_DEVICES]"; echo err >&2; exit 9')
    said = Machine().ask(TOOL)
    assert ("out --all []\nerr\n", 9, None) == (said.text, said.status, said.problem)


def test_variables_that_hide_devices_are_not_passed_on(tool, monkeypatch):
    """All devices are looked at, whatever this shell sees."""
    for name in ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "7")
    tool("env")
    assert "VISIBLE_DEVICES" not in Machine().ask(TOOL).text


def test_a_tool_that_hangs_is_ended_with_its_children(tool, tmp_path):
    """At its limit, with what it had said by then."""
    tool(f"echo before; sleep 600 & echo $! > {tmp_path}/child; wait")
    before = time.monotonic()
    said = Machine().ask(TOOL.replace(timeout_s=0.5))
    assert time.monotonic() - before < 10
    assert ("before\n", None, "hangs") == (said.text, said.status, said.problem)
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_tool_that_can_not_be_started(tool):
    tool("", first="#!/no/such/interpreter")
    said = Machine().ask(TOOL)
    assert ("refused", None) == (said.problem, said.status)


def test_a_lasting_answer_is_kept(tool, tmp_path):
    """Asked once; again after the program changed. An answer of failure is never kept."""
    count = tmp_path / "count"
    text = f"echo x >> {count}; wc -l < {count}"
    path = tool(text)
    os.utime(path, (1, 1))
    machine = Machine(cache=tmp_path / "cache")
    assert machine.ask(LASTING) == Machine(cache=tmp_path / "cache").ask(LASTING)
    assert "x\n" == count.read_text()
    assert machine.ask(TOOL).text.strip() == "2"
    tool(f"{text}; exit 1")
    assert ["3", "4"] == [machine.ask(LASTING).text.strip() for _ in range(2)]


def test_another_machines_tools_are_not_started(tool, tmp_path):
    tool("echo here")
    assert "absent" == Machine(tmp_path).ask(TOOL).problem


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    """None for what is there and forbidden; what vanishes is left out."""
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    opened = Path.open

    def guarded(path, *rest, **more):
        if path.name == "b":
            raise PermissionError
        if path.name == "c":
            raise OSError
        return opened(path, *rest, **more)

    monkeypatch.setattr(Path, "open", guarded)
    assert {"/a": "a", "/b": None} == Machine(tmp_path).files(("/*", "/none/*"))


def test_own_processes_are_known_by_their_environment():
    """`LLMDECL_STACK` marks every process of a stack."""
    machine = Machine()
    for environment, own in (({"LLMDECL_STACK": "x"}, True), ({}, False)):
        with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
            try:
                # between fork and exec the child still has this program's environment
                while Path(f"/proc/{process.pid}/comm").read_text().strip() != "sleep":
                    time.sleep(0.01)
                assert own is machine.is_own(process.pid)
                assert "sleep" == machine.command(process.pid)
            finally:
                process.kill()
    assert not machine.is_own(1 << 30)
    assert machine.command(1 << 30) is None


FAKE_NVML = """
from types import SimpleNamespace as N
NVML_ERROR_LIBRARY_NOT_FOUND, nvmlMemory_v2 = 12, 2
class NVMLError(Exception):
    value = {error}
def nvmlInit(): {init}
def nvmlSystemGetDriverVersion(): return b"550.90.07"
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(n): return n
def nvmlDeviceGetMigMode(h):
    if h == 0: raise NVMLError
    return (1, 1)
def nvmlDeviceGetMaxMigDeviceCount(h): return 7
def nvmlDeviceGetMigDeviceHandleByIndex(h, n):
    if n != 2: raise NVMLError
    return 10
def nvmlDeviceGetMemoryInfo(h, version=None):
    if h == 0 and version: raise NVMLError
    if h == 0: return N(total=24 << 30, free=1 << 30)
    if h == 10: return N(total=20 << 30, reserved=0, free=1 << 30)
    return N(total=80 << 30, reserved=1 << 30, free=1 << 30)
def nvmlDeviceGetCudaComputeCapability(h):
    if h == 10: raise NVMLError
    return (9, 0) if h else (8, 6)
def nvmlDeviceGetPciInfo(h):
    if h == 10: raise NVMLError
    return N(busId=b"00000000:0%d:00.0" % h)
def nvmlDeviceGetName(h): return "card %d" % h
def nvmlDeviceGetUUID(h): return "GPU-%d" % h if h < 10 else "MIG-%d" % h
def nvmlDeviceGetComputeRunningProcesses(h): return [N(pid=7, usedGpuMemory=None)] if h == 0 else []
def nvmlDeviceGetGraphicsRunningProcesses(h):
    return [N(pid=7, usedGpuMemory=5), N(pid=8, usedGpuMemory=6)] if h == 0 else []
def nvmlSystemGetProcessName(pid): raise NVMLError
"""


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    """Runs the NVML program with a library that does `init`."""

    def run(init="pass", error=0, timeout_s=60.0):
        text = FAKE_NVML.replace("{init}", init).replace("{error}", str(error))
        (tmp_path / "pynvml.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return Machine().ask(NVML.replace(timeout_s=timeout_s))

    return run


def test_nvmls_reading_becomes_devices(nvml):
    """Cards, one MIG instance at its number, what a card doesn't support, processes once."""
    said = nvml()
    assert said.ok, said.text
    reading = Reading(files={"/dev/nvidiactl": ""}, tools={"nvml": said})
    (card, instance), troubles = nvidia(reading)
    assert () == troubles
    assert ("card 0", "GPU-0", "0000:00:00.0", "sm_86") == (
        card.name,
        card.uuid,
        card.pci,
        card.architecture,
    )
    assert (24 << 30, "550.90.07") == (card.memory_bytes, card.driver)
    assert ((7, None, None), (8, None, 6)) == card.used_by
    assert ("card 10", "MIG-10", "0000:01:00.0", "sm_90", 20 << 30) == (
        instance.name,
        instance.uuid,
        instance.pci,
        instance.architecture,
        instance.memory_bytes,
    )
    assert instance.instance


def test_nvml_without_a_library_is_absent_and_with_a_broken_one_fails(nvml):
    assert 3 == nvml("raise NVMLError", error=12).status
    assert 4 == nvml("raise NVMLError('Driver/library version mismatch')", error=18).status


def test_nvml_that_never_returns_is_ended(nvml):
    said = nvml("import time; time.sleep(600)", timeout_s=3)
    assert "hangs" == said.problem


def test_nvml_without_the_package(monkeypatch):
    """The extra `nvidia` is optional."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "pytest" not in p])
    said = Machine().ask(NVML)
    assert said.status in (0, 3, 4)
    if said.status == 3:
        assert "NVML" in said.text or "nvidia-ml-py" in said.text
