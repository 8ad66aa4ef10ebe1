"""What llama-server says of itself, parsed. Pure; recorded outputs are the tests."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from llmdecl.backends.table import backend_of_device
from llmdecl.facts.model import EngineDevice

_VERSION = re.compile(r"^version: (.+)$", re.MULTILINE)
_NEW_BUILD = re.compile(r"\(build (\d+), commit ([0-9a-f]+)\)$")
_OLD_BUILD = re.compile(r"^(\d+) \(([0-9a-f]+)\)$")
_DEVICE = re.compile(r"^  (\S[^:]*): (.*) \((\d{1,9}) MiB, \d{1,9} MiB free\)$", re.MULTILINE)
_SYSTEM_INFO = re.compile(r"system_info:.*?\| CPU : ([^\n]*)")

KERNEL_NAMES: Mapping[str, str] = {
    "SSE3": "pni",
    "SSSE3": "ssse3",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX_VNNI": "avx_vnni",
    "F16C": "f16c",
    "FMA": "fma",
    "BMI2": "bmi2",
    "AVX512": "avx512f",
    "AVX512_VBMI": "avx512vbmi",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_BF16": "avx512_bf16",
    "AMX_INT8": "amx_int8",
    "NEON": "asimd",
    "FP16_VA": "asimdhp",
    "DOTPROD": "asimddp",
    "MATMUL_INT8": "i8mm",
    "SVE": "sve",
    "SME": "sme",
}
"""The kernel's names by ggml's (ggml-cpu.cpp, `ggml_backend_cpu_get_features`)."""


class Version(NamedTuple):
    """`text` is all of what the engine calls its version."""

    text: str
    build: int | None
    commit: str | None


def parse_version(text: str) -> Version | None:
    """Of `--version`: `version: 1 (571d0d5)` or `version: 0.1.0 (build 1, commit 7e4c0a9)`."""
    match = _VERSION.search(text)
    if match is None:
        return None
    version = match[1].strip()
    build = _NEW_BUILD.search(version) or _OLD_BUILD.search(version)
    return Version(version, int(build[1]) if build else None, build[2] if build else None)


def parse_devices(text: str) -> tuple[EngineDevice, ...]:
    """Of `--list-devices` (common/arg.cpp:1141): `  CUDA0: NVIDIA ... (24080 MiB, 23608 MiB free)`.

    What a backend says before the list is not of it. Devices of backends that llmdecl doesn't know
    (OpenCL, CANN, BLAS) are left out.
    """
    _, _, text = text.partition("Available devices:")
    found: list[EngineDevice] = []
    for name, description, memory in _DEVICE.findall(text):
        known = backend_of_device(name)
        if known is not None:
            found.append(
                EngineDevice(
                    name=name,
                    backend=known[0].name,
                    index=known[1],
                    description=description,
                    memory_bytes=int(memory) << 20,
                )
            )
    return tuple(found)


def parse_cpu_features(text: str) -> tuple[str, ...]:
    """Features that the CPU backend was compiled for, by the kernel's names, sorted.

    From the line `system_info` that a start prints. A feature without a name here is left out.
    """
    match = _SYSTEM_INFO.search(text)
    if match is None:
        return ()
    pairs = (part.split("=") for part in match[1].split("|") if part.count("=") == 1)
    names = (name.strip() for name, value in pairs if value.strip() != "0")
    return tuple(sorted(KERNEL_NAMES[name] for name in names if name in KERNEL_NAMES))
