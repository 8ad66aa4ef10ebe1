"""The processor features of a build."""

from llmdecl.engines.llama_cpp.system_info import parse_system_info

PORTABLE = (
    "0.00.003.672 I cmn  common_param: system_info: n_threads = 2 (n_threads_batch = 2) / 2 | "
    "CPU : SSE3 = 1 | SSSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | FMA = 1 | BMI2 = 1 | "
    "LLAMAFILE = 1 | OPENMP = 1 | REPACK = 1 | \n"
)
NATIVE = (
    "system_info: n_threads = 2 (n_threads_batch = 2) / 2 | CPU : SSE3 = 1 | AVX512 = 1 | "
    "AVX512_BF16 = 0 | AMX_INT8 = 1 | REPACK = 1 | \n"
)


def test_a_portable_build_needs_what_avx2_machines_have():
    """Features get the kernel's names; what is no feature of a processor is left out."""
    assert ("avx", "avx2", "bmi2", "f16c", "fma", "pni", "ssse3") == parse_system_info(PORTABLE)


def test_a_native_build_needs_what_its_builder_had():
    """AVX-512 stands for five features; those that are 0 are not needed."""
    needed = parse_system_info(NATIVE)
    assert needed is not None
    assert {"avx512f", "avx512bw", "amx_int8", "amx_tile"} < set(needed)
    assert "avx512_bf16" not in needed


def test_a_log_without_the_line_says_nothing():
    """Unknown is not the same as nothing needed."""
    assert parse_system_info("llama_server: hello") is None
