"""Processor and memory: recorded texts of the kernel, and what the spec declares."""

import os
from pathlib import Path

import pytest

from llmdecl.facts.hardware import host_facts, look
from llmdecl.facts.hardware.cpu import (
    detect_cpu,
    detect_ram,
    limit_cores,
    memory_files,
    parse_cpuinfo,
    parse_limit,
    parse_meminfo,
    parse_quota,
    quota_files,
)
from llmdecl.facts.hardware.numa import parse_numa
from llmdecl.spec.schema import Host

DATA = Path(__file__).parent / "data"
EPYC = (DATA / "cpuinfo-epyc-vm.txt").read_text()
MEMINFO = "MemTotal:       24684096 kB\nMemFree:        23737836 kB\n"
V1 = "4:memory:/process_api/3b04\n2:cpu,cpuacct:/jobs\n0::/\n"
V2 = "0::/user.slice/user-1000.slice\n"


def hyperthreads() -> str:
    """Two packages of two cores with two threads each, as the kernel writes them."""
    return "\n".join(
        f"processor\t: {n}\nmodel name\t: Xeon\nphysical id\t: {n // 2 % 2}\n"
        f"core id\t\t: {n % 2}\nflags\t\t: avx2 avx\n"
        for n in range(8)
    )


def test_recorded_machines():
    cpu = parse_cpuinfo(EPYC)
    assert (cpu.model, cpu.cores_physical, cpu.cores_logical) == ("AMD EPYC", 2, 2)
    assert {"avx2", "f16c", "fma"} <= set(cpu.features)
    assert "avx512f" not in cpu.features
    arm = parse_cpuinfo((DATA / "cpuinfo-arm.txt").read_text())
    assert (arm.model, arm.cores_physical, arm.cores_logical) == (None, 2, 2)
    assert "asimddp" in arm.features


def test_cores_are_told_from_threads_and_packages():
    cpu = parse_cpuinfo(hyperthreads())
    assert (cpu.cores_physical, cpu.cores_logical, cpu.features) == (4, 8, ("avx", "avx2"))


def test_only_processors_that_the_process_may_use():
    cpu = parse_cpuinfo(hyperthreads(), frozenset({0, 4, 5}))
    assert (cpu.cores_physical, cpu.cores_logical) == (2, 3)


def test_a_quota_limits_cores():
    cpu = parse_cpuinfo(hyperthreads())
    limited = limit_cores(cpu, 2.5)
    assert (limited.cores_physical, limited.cores_logical) == (3, 3)
    assert limit_cores(cpu, 0.1).cores_physical == 1


@pytest.mark.parametrize("text", ["", "nonsense", "processor: x\n", "\0\xff\n\n:::"])
def test_texts_that_say_nothing(text):
    assert parse_cpuinfo(text) is None
    assert parse_meminfo(text) is None
    assert parse_limit(text) is None
    assert parse_quota(text) is None
    assert memory_files(text) == ()


def test_limits():
    assert parse_meminfo(MEMINFO) == 24684096 * 1024
    assert parse_limit("max\n") is None
    assert parse_limit("9223372036854771712\n") is None
    assert parse_limit("2147483648\n") == 2**31
    assert parse_quota("max 100000\n") is None
    assert parse_quota("150000 100000\n") == 1.5
    assert parse_quota("-1\n") is None
    assert parse_quota("400000\n") == 4


def test_groups_and_those_above_them():
    assert memory_files(V2) == (
        "sys/fs/cgroup/user.slice/user-1000.slice/memory.max",
        "sys/fs/cgroup/user.slice/memory.max",
        "sys/fs/cgroup/memory.max",
    )
    assert "sys/fs/cgroup/memory/process_api/memory.limit_in_bytes" in memory_files(V1)
    assert "sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us" in quota_files(V1)
    assert quota_files("1:cpu:/../../etc\n") == ()


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_smallest_limit_counts(tmp_path):
    """A container's group is the mount itself; its outer path is not visible inside."""
    root = machine(tmp_path, proc__cpuinfo=hyperthreads(), proc__meminfo=MEMINFO)
    assert detect_ram(root) == 24684096 * 1024
    assert detect_cpu(root).cores_physical == 4
    machine(root, proc__self__cgroup=V2, sys__fs__cgroup__x="")
    (root / "sys/fs/cgroup/memory.max").write_text("8589934592\n")
    (root / "sys/fs/cgroup/cpu.max").write_text("200000 100000\n")
    group = root / "sys/fs/cgroup/user.slice"
    group.mkdir()
    (group / "memory.max").write_text("max\n")
    assert detect_ram(root) == 8 << 30
    assert detect_cpu(root).cores_physical == 2


def host(**keys) -> Host:
    return Host.model_validate(keys)


def test_declared_values_replace_detection(tmp_path):
    """With everything declared nothing of the machine is looked at."""
    device = {"id": "gpu0", "backend": "cuda", "memory": "24GiB", "architecture": "sm_86"}
    declared = host(
        name="atlas",
        ram="64GiB",
        cpu={"cores": 8, "features": ("avx2", "avx")},
        devices=(device,),
    )
    facts, found = host_facts(declared, tmp_path)
    assert found == ()
    assert (facts.name, facts.ram_bytes, facts.ram_declared) == ("atlas", 64 << 30, True)
    assert (facts.cpu.model, facts.cpu.cores_physical, facts.cpu.cores_logical) == (None, 8, 8)
    assert facts.cpu.features == ("avx", "avx2")
    assert [(d.id, d.memory_bytes, d.declared) for d in facts.devices] == [("gpu0", 24 << 30, True)]


def test_what_is_left_out_is_detected(tmp_path):
    root = machine(tmp_path, proc__cpuinfo=EPYC, proc__meminfo=MEMINFO)
    facts, found = host_facts(host(cpu={"cores": 1}), root)
    assert found == ()
    assert (facts.cpu.cores_physical, facts.ram_declared) == (1, False)
    assert "avx2" in facts.cpu.features
    facts, _ = host_facts(host(cpu={"features": ()}), root)
    assert (facts.cpu.model, facts.cpu.cores_physical, facts.cpu.features) == ("AMD EPYC", 2, ())


def test_a_machine_that_says_nothing(tmp_path):
    _, found = host_facts(None, tmp_path)
    assert [(one.code, one.address) for one in found] == [
        ("LD230", "host.cpu"),
        ("LD230", "host.ram"),
    ]


def test_this_machine():
    facts, found = host_facts(None)
    assert found == ()
    assert 1 <= facts.cpu.cores_physical <= facts.cpu.cores_logical <= (os.cpu_count() or 1)
    assert facts.ram_bytes > 1 << 28


def test_numa_nodes():
    """Two sockets and memory without processors; a node without memory is none."""
    base = "/sys/devices/system/node/node"
    files = {
        f"{base}0/cpulist": "0-3,8-11\n",
        f"{base}0/meminfo": "Node 0 MemTotal:       65706164 kB\nNode 0 MemFree: 1 kB\n",
        f"{base}10/cpulist": "4-7,12-15\n",
        f"{base}10/meminfo": "Node 10 MemTotal:       65996288 kB\n",
        f"{base}2/cpulist": "\n",
        f"{base}2/meminfo": "Node 2 MemTotal:       131072 kB\n",
        f"{base}3/meminfo": "Node 3 MemTotal:       0 kB\n",
        f"{base}4/meminfo": None,
    }
    nodes = parse_numa(files)
    assert [0, 2, 10] == [node.number for node in nodes]
    assert (0, 1, 2, 3, 8, 9, 10, 11) == nodes[0].processors
    assert ((), 131072 * 1024) == (nodes[1].processors, nodes[1].memory_bytes)
    assert () == parse_numa({})


def test_this_machine_is_looked_at():
    """Its own nodes have as much memory as it has, and no probe fails loudly."""
    looked = look(None, {})
    assert looked.host.ram_bytes > 0
    if looked.host.numa:
        total = sum(node.memory_bytes for node in looked.host.numa)
        assert total >= looked.host.ram_bytes
    assert all(problem.severity == "warning" for problem in looked.problems)
