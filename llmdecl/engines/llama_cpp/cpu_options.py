"""The CMake options that decide a processor's code. Pure."""

from collections.abc import Mapping
from typing import Literal

from llmdecl.diagnostics import Diagnostic
from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions
from llmdecl.facts.model import CpuFacts

Cpu = Literal["dispatch", "native", "baseline"]

X86: Mapping[str, tuple[str, ...]] = {
    "GGML_SSE42": ("sse4_2",),
    "GGML_AVX": ("avx",),
    "GGML_AVX2": ("avx2",),
    "GGML_AVX_VNNI": ("avx_vnni",),
    "GGML_AVX512": ("avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"),
    "GGML_AVX512_VBMI": ("avx512_vbmi", "avx512vbmi"),
    "GGML_AVX512_VNNI": ("avx512_vnni",),
    "GGML_AVX512_BF16": ("avx512_bf16",),
    "GGML_AMX_TILE": ("amx_tile",),
    "GGML_AMX_INT8": ("amx_int8",),
    "GGML_AMX_BF16": ("amx_bf16",),
    "GGML_BMI2": ("bmi2",),
    "GGML_F16C": ("f16c",),
    "GGML_FMA": ("fma",),
}
"""By option, the kernel's names of what its compiler flags allow (`ggml-cpu/CMakeLists.txt`); of
VBMI's, either spelling."""

ARM: Mapping[str, tuple[str, ...]] = {
    "dotprod": ("asimddp",),
    "fp16": ("fphp", "asimdhp"),
    "i8mm": ("i8mm",),
    "sve": ("sve",),
    "sve2": ("sve2",),
    "sme": ("sme",),
}
"""By GCC's and Clang's name of an extension of `armv8.2-a`, the kernel's."""


def cpu_options(
    address: str, cpu: Cpu, facts: CpuFacts, tree: TreeOptions | None
) -> tuple[dict[str, str], list[Diagnostic]]:
    """`dispatch` builds all variants as modules; `native` names the host's instruction sets.

    They are named rather than found by `-march=native`, so that a build elsewhere is the same.
    """
    modules = cpu == "dispatch"
    found: list[Diagnostic] = []
    if modules and tree is not None and "GGML_CPU_ALL_VARIANTS" not in tree.declared:
        modules = False
        summary = "this llama.cpp can't choose the processor's code when it runs"
        found.append(rules.NO_DISPATCH.at(f"{address}.cpu", summary))
    options = {
        "GGML_BACKEND_DL": "ON" if modules else "OFF",
        "GGML_CPU_ALL_VARIANTS": "ON" if modules else "OFF",
        "GGML_CPU_ARM_ARCH": "",
        "GGML_NATIVE": "OFF",
        **dict.fromkeys(X86, "OFF"),
    }
    if cpu != "native":
        return options, found
    has = set(facts.features)
    if "sse2" in has:
        options |= {name: "ON" for name, flags in X86.items() if _allowed(name, flags, has)}
    elif "asimd" in has:
        options["GGML_CPU_ARM_ARCH"] = _arm(has)
    else:
        options["GGML_NATIVE"] = "ON"
        summary = "what the host's processor can do is not known, so the build machine decides"
        found.append(rules.NATIVE_UNKNOWN.at(f"{address}.cpu", summary))
    return options, found


def _allowed(name: str, flags: tuple[str, ...], has: set[str]) -> bool:
    """All flags; of the two spellings of VBMI, one."""
    return bool(has & set(flags)) if name == "GGML_AVX512_VBMI" else has >= set(flags)


def _arm(has: set[str]) -> str:
    """`armv8.2-a+dotprod+fp16`, for `-march`."""
    extensions = [word for word, flags in ARM.items() if has >= set(flags)]
    return "+".join(("armv8.2-a" if extensions else "armv8-a", *extensions))
