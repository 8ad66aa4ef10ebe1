"""Compilers and build programs: recorded words, and the programs of this machine."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.facts.hardware.machine import Machine
from llmdecl.facts.hardware.reading import Said
from llmdecl.facts.hardware.toolkits import TOOLS, parse_toolkits, toolkits_of
from llmdecl.facts.toolkits import Compiler, CudaToolkit, RocmToolkit, Toolkits

DATA = Path(__file__).parent / "data" / "toolkits"


def recorded(name: str) -> Toolkits:
    """A folder of what tools said, as a machine."""
    folder = DATA / name
    said = {path.stem: Said(text=path.read_text()) for path in folder.glob("*.txt")}
    paths = said.pop("paths", Said()).text.split()
    return parse_toolkits(said, tuple(paths))


def test_debian_12_with_cuda_13() -> None:
    """GCC, CMake, CUDA with its lists, glslc without a `v`."""
    has = recorded("debian-12-cuda-13")
    assert has.compiler == Compiler(id="GNU", version="12.2.0")
    assert (has.cmake, has.ninja, has.glslc) == ("3.25.1", "1.11.1", "2023.2")
    assert has.cuda is not None
    assert (has.cuda.version, has.cuda.build) == ("13.0", "13.0.88")
    assert has.cuda.codes is not None
    assert has.cuda.codes[0] == "sm_75"
    assert has.cuda.codes[-1] == "sm_121"
    assert has.cuda.architectures is not None
    assert "compute_110" in has.cuda.architectures
    assert has.identity(("cuda",)) == ("GNU 12.2.0", "cmake 3.25.1", "nvcc 13.0.88")
    assert has.identity(("vulkan",)) == ("GNU 12.2.0", "cmake 3.25.1", "glslc 2023.2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "debian-12-clang-cuda-11",
            Toolkits(
                compiler=Compiler(id="Clang", version="14.0.6"),
                ccache="4.7.5",
                cuda=CudaToolkit(version="11.8", build="11.8.89"),
            ),
        ),
        (
            "rocm-6.2",
            Toolkits(
                rocm=RocmToolkit(
                    version="6.2.41133",
                    compiler="18.0.0",
                    targets=("gfx803", "gfx90a", "gfx1030", "gfx1100", "gfx9-generic"),
                )
            ),
        ),
        ("oneapi", Toolkits(icpx="2025.3.2")),
        (
            "xcode",
            Toolkits(compiler=Compiler(id="AppleClang", version="17.0.0"), metal="32023.883"),
        ),
    ],
)
def test_recorded(name: str, expected: Toolkits) -> None:
    """What others' machines said is read in full, and what they lack is None."""
    assert recorded(name) == expected


def test_debian_12_with_hip_5() -> None:
    """HIP beside nvcc speaks with nvcc's words; its device libraries know no RDNA 3."""
    has = recorded("debian-12-hip-5").rocm
    assert has is not None
    assert (has.version, has.compiler) == ("5.2.21153", None)
    assert has.targets is not None
    assert "gfx1036" in has.targets
    assert "gfx1100" not in has.targets


def test_what_rocblas_has_code_for() -> None:
    """ROCm 6.4.0's files, as ROCm/legacy-rocm-build#4625 lists them; none are no list."""
    folder = "/opt/rocm/lib/rocblas/library"
    names = ("lazy_gfx1101", "lazy_gfx942", "lazy_gfx90a", "gfx803", "Type_HH_fallback_gfx906")
    libraries = tuple(f"{folder}/TensileLibrary_{name}.dat" for name in names)
    said = {"hipcc": Said(text="HIP version: 6.4.43482-0f2d60242")}
    has = parse_toolkits(said, libraries).rocm
    assert has is not None
    assert has.blas == ("gfx803", "gfx90a", "gfx942", "gfx1101")
    bare = parse_toolkits(said, (f"{folder}/TensileManifest.txt",)).rocm
    assert bare is not None
    assert bare.blas is None


def test_what_fails_is_not_there() -> None:
    """A program that exists and does not work is none: xcrun without a Metal toolchain."""
    said = {"metal": Said(text="xcrun: error: unable to find utility 1.2", status=72)}
    assert parse_toolkits(said) == Toolkits()


@given(st.fixed_dictionaries({tool.name: st.builds(Said, text=st.text()) for tool in TOOLS}))
def test_any_words_are_read(said: dict[str, Said]) -> None:
    """No answer of a program breaks its parser."""
    assert isinstance(parse_toolkits(said), Toolkits)


def test_this_machine() -> None:
    """What builds this project's parts is found where it is, with versions."""
    machine = Machine()
    has = toolkits_of(machine.ask, machine.paths)
    present = {tool.name for tool in TOOLS if machine.ask(tool).ok}
    assert (has.compiler is not None) == ("c++" in present)
    assert (has.cmake is not None) == ("cmake" in present)
    assert (has.cuda is not None) == ("nvcc" in present)
