"""What a llama.cpp build demands of the processor, by its own `system_info` line.

A build for one machine (`GGML_NATIVE`) uses what that machine had without asking again: on another
processor it answers `--version` and `--list-devices`, and dies of SIGILL while it loads a model.
The line is printed before any model is opened. Builds that choose among variants at run time
(`GGML_CPU_ALL_VARIANTS`) print the variant that this processor got.
"""

import re
from collections.abc import Mapping

KERNEL_NAMES: Mapping[str, tuple[str, ...]] = {
    "SSE3": ("pni",),
    "SSSE3": ("ssse3",),
    "AVX": ("avx",),
    "AVX_VNNI": ("avx_vnni",),
    "AVX2": ("avx2",),
    "F16C": ("f16c",),
    "FMA": ("fma",),
    "BMI2": ("bmi2",),
    "AVX512": ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"),
    "AVX512_VBMI": ("avx512vbmi",),
    "AVX512_VNNI": ("avx512_vnni",),
    "AVX512_BF16": ("avx512_bf16",),
    "AMX_INT8": ("amx_tile", "amx_int8"),
}
"""ggml's name of a feature (`ggml_backend_cpu_get_features`) to Linux's in /proc/cpuinfo."""

_LINE = re.compile(r"system_info:.*?\|\s*CPU : (?P<features>[^\n]*)")
_FEATURE = re.compile(r"(?:^|\| )(\w+) = 1\b")


def parse_system_info(log: str) -> tuple[str, ...] | None:
    """Kernel names of the features that the build uses, sorted; `None` when no line says so.

    Names that are not a processor's (`LLAMAFILE`, `OPENMP`, `REPACK`) are left out.
    """
    line = _LINE.search(log)
    if line is None:
        return None
    found = _FEATURE.findall(line["features"])
    return tuple(sorted({name for feature in found for name in KERNEL_NAMES.get(feature, ())}))
