"""What keeps a recipe from being built on a machine, or from running on its devices."""

import pytest

from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.nvidia_architectures import NVIDIA
from llmdecl.engines.llama_cpp.toolkit_checks import PACKAGES, driver_problems, toolkit_problems
from llmdecl.facts.toolkits import CudaToolkit, RocmToolkit, Toolkits
from tests.engines.test_build_options import device, host, recipe
from tests.facts.test_toolkits import recorded

HERE = recorded("debian-12-cuda-13")


def codes(devices: tuple[str, ...], toolkits: Toolkits) -> list[str]:
    """What is said of building for these devices with these toolkits."""
    return [d.code for d in toolkit_problems("llama", recipe(host(*devices)), toolkits)]


def test_nothing_is_asked_for_that_is_not_needed() -> None:
    """A CPU engine needs a compiler and CMake, and CUDA's nothing of AMD's."""
    bare = HERE.replace(cuda=None, glslc=None, ninja=None)
    assert codes((), bare) == []
    assert codes(("cuda:sm_86",), HERE) == []


@pytest.mark.parametrize(
    ("device", "program"),
    [("cuda:sm_86", "nvcc"), ("hip:gfx1100", "hipcc"), ("vulkan", "glslc"), ("sycl", "icpx")],
)
def test_missing_toolkits_name_their_packages(device: str, program: str) -> None:
    """Each missing program is one error, with the packages that have it."""
    found = toolkit_problems("llama", recipe(host(device)), HERE.replace(cuda=None, glslc=None))
    assert [d.code for d in found] == [rules.TOOLKIT_MISSING.code]
    assert f"`{program}`" in found[0].summary
    assert found[0].notes == PACKAGES[program]


def test_everything_missing_is_said_at_once() -> None:
    """One run names all that has to be installed."""
    assert codes(("cuda:sm_86", "vulkan"), Toolkits()) == [rules.TOOLKIT_MISSING.code] * 4


@pytest.mark.parametrize("name", NVIDIA)
def test_architectures_are_checked_against_nvcc(name: str) -> None:
    """What nvcc 13.0 lists can be built; for all else it is said which CUDA can."""
    found = toolkit_problems("llama", recipe(host(f"cuda:{name}")), HERE)
    assert HERE.cuda is not None
    assert HERE.cuda.codes is not None
    assert [d.code for d in found] == (
        [] if name in HERE.cuda.codes else [rules.TOOLKIT_CANNOT.code]
    )
    if found:
        assert "12.9" in found[0].notes[0]


def test_an_old_nvcc_is_judged_by_the_table() -> None:
    """CUDA 11.8 without nvcc's lists builds sm_89 and not sm_120."""
    old = HERE.replace(cuda=CudaToolkit(version="11.8", build="11.8.89"))
    assert codes(("cuda:sm_89",), old) == []
    assert codes(("cuda:sm_120",), old) == [rules.TOOLKIT_CANNOT.code]


def test_old_hip_and_old_cmake() -> None:
    """llama.cpp asks for HIP 6.1, and CMake 3.21 for it."""
    old = HERE.replace(rocm=RocmToolkit(version="5.2.21153"), cmake="3.18.4")
    assert codes(("hip:gfx1100",), old) == [rules.TOOLKIT_CANNOT.code] * 2
    new = HERE.replace(rocm=RocmToolkit(version="6.2.41133", targets=("gfx1030",)))
    assert codes(("hip:gfx1100",), new) == [rules.TOOLKIT_CANNOT.code]


@pytest.mark.parametrize(
    ("driver", "toolkit", "words", "old"),
    [
        ("580.65.06", "13.0", ("sm_86",), False),
        ("575.51.03", "13.0", ("sm_86",), True),
        ("535.104.05", "12.8", ("sm_86",), False),  # compatible within a major release
        ("535.104.05", "12.8", ("compute_80",), True),  # but it can't compile 12.8's PTX
        ("570.86.15", "12.8", ("compute_80",), False),
        ("520.61.05", "12.0", ("sm_86",), True),
        ("390.157", "10.2", ("sm_86",), False),  # nothing is known, nothing is said
    ],
)
def test_drivers(driver: str, toolkit: str, words: tuple[str, ...], old: bool) -> None:
    """A driver is compared with what machine code, or else PTX, of the toolkit needs."""
    card = device("cuda:sm_86").replace(driver=driver)
    made = recipe(host("cuda:sm_86"), architectures=words)
    assert bool(driver_problems(made, toolkit, (card,))) is old
