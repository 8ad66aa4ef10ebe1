"""An engine's word on itself, and programs that are none."""

import os
import time
from pathlib import Path

import pytest

from llmdecl.facts.engine import probe_engine
from llmdecl.facts.engine_text import parse_cpu_features, parse_devices, parse_version
from llmdecl.facts.model import EngineFacts
from llmdecl.values import from_json, to_json

HELP = Path(__file__).parents[1] / "engines" / "data" / "llama-server-b10434.txt"
SYSTEM_INFO = (
    "0.00.008.509 I cmn  common_param: system_info: n_threads = 2 (n_threads_batch = 2) / 2 | "
    "CPU : SSE3 = 1 | AVX = 1 | AVX512 = 1 | AVX2 = 0 | LLAMAFILE = 1 | REPACK = 1 | \nnext | X = 1"
)
DEVICES = """ggml_vulkan: Found 1 Vulkan devices:
  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes (1 MiB, 1 MiB free)
Available devices:
  CUDA0: NVIDIA GeForce RTX 3090 (24268 MiB, 23500 MiB free)
  Vulkan0: AMD Radeon RX 7900 XTX (RADV NAVI31) (24560 MiB, 24000 MiB free)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "version: 0.1.0-dev (build 1, commit 7e4c0a9)\nbuilt with GNU 11.4.0\n",
            ("0.1.0-dev (build 1, commit 7e4c0a9)", 1, "7e4c0a9"),
        ),
        ("version: 6123 (571d0d5)\nbuilt with cc\n", ("6123 (571d0d5)", 6123, "571d0d5")),
        ("warning: x\nversion: unknown\n", ("unknown", None, None)),
        ("true (GNU coreutils) 9.1\n", None),
        ("", None),
    ],
)
def test_versions(text, expected):
    assert parse_version(text) == expected


def test_devices():
    """Names, descriptions with parentheses and sizes; nothing from before the list."""
    cuda, vulkan = parse_devices(DEVICES)
    assert (cuda.name, cuda.backend, cuda.index) == ("CUDA0", "cuda", 0)
    assert (cuda.description, cuda.memory_bytes) == ("NVIDIA GeForce RTX 3090", 24268 << 20)
    assert (vulkan.name, vulkan.backend) == ("Vulkan0", "vulkan")
    assert vulkan.description == "AMD Radeon RX 7900 XTX (RADV NAVI31)"
    assert parse_devices("Available devices:\n  (none)\n") == ()
    assert parse_devices("Available devices:\n") == ()
    assert parse_devices("") == ()


def test_every_backend_has_its_lines():
    """An RPC device is described by its endpoint; unknown backends are left out."""
    lines = parse_devices(
        "Available devices:\n"
        "  MTL0: Apple M3 Max (98304 MiB, 98303 MiB free)\n"
        "  SYCL0: Intel(R) Arc(TM) A770 Graphics (15473 MiB, 15473 MiB free)\n"
        "  RPC0: 10.0.0.2:50052 (24080 MiB, 23000 MiB free)\n"
        "  RPC1: 10.0.0.2:50052 (24080 MiB, 23000 MiB free)\n"
        "  ROCm0: AMD Radeon RX 7900 XTX (24560 MiB, 24000 MiB free)\n"
        "  GPUOpenCL: QUALCOMM Adreno(TM) (0 MiB, 0 MiB free)\n"
        "  BLAS: OpenBLAS (0 MiB, 0 MiB free)\n"
    )
    assert ["MTL0", "SYCL0", "RPC0", "RPC1", "ROCm0"] == [line.name for line in lines]
    assert ["metal", "sycl", "rpc", "rpc", "hip"] == [line.backend for line in lines]
    assert "10.0.0.2:50052" == lines[2].description


def test_processor_features_are_the_kernels_names():
    assert parse_cpu_features(SYSTEM_INFO) == ("avx", "avx512f", "pni")
    assert parse_cpu_features("no such line") == ()


def script(folder: Path, text: str, name: str = "llama-server") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


ANSWERS = f"""
case "$1" in
  --version) echo "version: 7 (abc123)" >&2 ;;
  --help) cat {HELP} ;;
  --list-devices) echo "Available devices:"; echo "  CUDA0: A (1 MiB, 1 MiB free)" ;;
  *) exit 1 ;;
esac
"""


def test_a_program_that_answers(tmp_path):
    facts, found = probe_engine(script(tmp_path, ANSWERS))
    assert found == ()
    assert (facts.version, facts.build, facts.commit) == ("7 (abc123)", 7, "abc123")
    assert (len(facts.flags), facts.cpu_features) == (248, ())
    assert ["CUDA0"] == [device.name for device in facts.devices]
    assert from_json(to_json(facts), EngineFacts) == facts


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("echo 'version: 7 (abc123)'", "LD224", "its help names no `--model`"),
        (f"cat {HELP}", "LD224", "it gives no version"),
        ("echo oh no >&2; exit 3", "LD222", "it said: oh no"),
        ("kill -ILL $$", "LD222", None),
        (
            "echo 'error while loading shared libraries: libx.so: not found' >&2; exit 127",
            "LD221",
            "it said: error while loading shared libraries: libx.so: not found",
        ),
    ],
)
def test_other_programs_in_their_own_words(text, code, words, tmp_path):
    facts, found = probe_engine(script(tmp_path, text), address="engines.x.path")
    assert facts is None
    assert [(one.code, one.address) for one in found] == [(code, "engines.x.path")]
    assert words is None or any(note.startswith(words) for note in found[0].notes)


def test_sigill_is_explained(tmp_path):
    _, found = probe_engine(script(tmp_path, "kill -ILL $$"))
    assert "SIGILL" in found[0].summary
    assert "instruction" in found[0].summary


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    """At the time limit; a child that keeps the output open does not prolong it."""
    begun = time.monotonic()
    mark = tmp_path / "pid"
    path = script(tmp_path, f"sleep 60 & echo $! > {mark}; echo busy; wait")
    _, found = probe_engine(path, timeout_s=0.5)
    assert [one.code for one in found] == ["LD223"]
    assert "it said: busy" in found[0].notes
    assert time.monotonic() - begun < 30
    child = int(mark.read_text())
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_is_no_program(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("text")
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF not really")
    broken.chmod(0o755)
    orphan = tmp_path / "orphan"
    orphan.write_text("#!/no/such/interpreter\n")
    orphan.chmod(0o755)
    cases = {tmp_path / "missing": "LD220", tmp_path: "LD221", broken: "LD221", orphan: "LD221"}
    if os.getuid():
        cases[plain] = "LD221"
    for path, code in cases.items():
        facts, found = probe_engine(path)
        assert facts is None
        assert [one.code for one in found] == [code], path


def test_the_environment_is_clean(tmp_path, monkeypatch):
    """What the user's shell sets for llama.cpp or the loader does not reach the engine."""
    monkeypatch.setenv("LLAMA_ARG_CTX_SIZE", "1")
    monkeypatch.setenv("LD_PRELOAD_X", "1")
    seen = tmp_path / "seen"
    probe_engine(script(tmp_path, f"env > {seen}"))
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "PWD", "OLDPWD", "SHLVL", "_"}


def test_answers_are_kept_until_program_or_library_change(tmp_path):
    cache, runs = tmp_path / "cache", tmp_path / "runs"
    path = script(tmp_path, f"echo run >> {runs}\n{ANSWERS}")
    library = tmp_path / "libllama.so"
    library.write_text("1")

    def count() -> int:
        assert probe_engine(path, cache=cache)[0] is not None
        return len(runs.read_text().splitlines())

    first = count()
    assert count() == first
    library.write_text("22")
    second = count()
    assert second > first
    script(tmp_path, f"echo run >> {runs}\n{ANSWERS}\n# changed")
    assert count() > second


@pytest.mark.real
def test_the_real_engine(llama_server):
    facts, found = probe_engine(llama_server)
    assert found == ()
    assert facts.commit == "571d0d5"
    assert len(facts.flags) == 247
    assert "avx2" in facts.cpu_features
    assert "avx512f" not in facts.cpu_features
