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


def test_architectures_that_no_toolkit_here_has_together() -> None:
    """With several architectures it is said which toolkits compile all of them."""
    (found,) = toolkit_problems("llama", recipe(host("cuda:sm_61", "cuda:sm_120")), HERE)
    assert found.notes == ("CUDA 8.0 to 12.9 does", "CUDA 12.8 to 12.9 compiles for all of them")


@pytest.mark.parametrize(
    ("word", "toolkit", "can"),
    [
        ("sm_90a", "12.0", True),
        ("sm_90a", "11.8", False),
        ("compute_120f", "12.9", True),
        ("compute_120f", "12.8", False),
        ("sm_120", "12.8", True),  # which is compiled as `120a`, and CUDA knows both alike
        ("sm_120", "12.6", False),
    ],
)
def test_suffixes_are_later_than_their_architectures(word: str, toolkit: str, can: bool) -> None:
    """CUDA 12.0 brought targets of one architecture, 12.9 those of a family."""
    old = HERE.replace(cuda=CudaToolkit(version=toolkit, build=f"{toolkit}.1"), cmake="4.1.0")
    made = (
        recipe(host(f"cuda:{word.replace('compute', 'sm')[:-1]}"), architectures=(word,))
        if (word[-1] in "af")
        else recipe(host(f"cuda:{word}"))
    )
    assert [d.code for d in toolkit_problems("llama", made, old)] == (
        [] if can else [rules.TOOLKIT_CANNOT.code]
    )


@pytest.mark.parametrize(
    ("cmake", "refused"),
    [
        ("3.22.1", ""),
        ("3.24.3", "af"),
        ("3.25.1", "f"),
        ("3.31.6", "f"),
        ("3.31.8", ""),
        ("4.0.1", "f"),
        ("4.0.2", ""),
    ],
)
def test_some_cmakes_refuse_a_suffix(cmake: str, refused: str) -> None:
    """`120a-real` and `120f-real` are mistakes to some releases of CMake between others."""
    has = HERE.replace(cmake=cmake)
    for suffix in "af":
        made = recipe(host("cuda:sm_120"), architectures=(f"sm_120{suffix}",))
        found = toolkit_problems("llama", made, has)
        assert [d.code for d in found] == [rules.TOOLKIT_CANNOT.code] * (suffix in refused), suffix


@pytest.mark.parametrize(
    ("device", "blas", "code"),
    [
        ("hip:gfx906", ("gfx906", "gfx1030"), None),
        ("hip:gfx906", ("gfx90a", "gfx1030"), rules.LIBRARIES_LACK_DEVICE),  # AMD's from 6.4 on
        ("hip:gfx906", None, None),  # not found, so nothing is known
        ("hip:gfx1032", ("gfx1030",), None),  # runs as gfx1030, which is said where it is
        ("hip:gfx1151", ("gfx1100",), rules.LIBRARIES_LACK_DEVICE),
    ],
)
def test_devices_that_rocblas_here_leaves_out(
    device: str, blas: tuple[str, ...] | None, code: rules.Rule | None
) -> None:
    """A library without code for a device would end llama-server: a warning before the build."""
    rocm = RocmToolkit(version="6.4.43482", blas=blas)
    found = toolkit_problems("llama", recipe(host(device)), HERE.replace(rocm=rocm))
    assert [d.code for d in found] == ([] if code is None else [code.code])
    if device == "hip:gfx1151" and found:
        assert "11.0.0" in found[0].help[0]


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
        ("580.65.06", "13.1", ("compute_86",), True),
        ("590.44.01", "13.2", ("compute_86",), False),  # at least what the one before it needs
        ("580.65.06", "13.2", ("compute_86",), True),
        ("390.157", "10.2", ("sm_86",), False),  # nothing is known, nothing is said
    ],
)
def test_drivers(driver: str, toolkit: str, words: tuple[str, ...], old: bool) -> None:
    """A driver is compared with what machine code, or else PTX, of the toolkit needs."""
    card = device("cuda:sm_86").replace(driver=driver)
    made = recipe(host("cuda:sm_86"), architectures=words)
    assert bool(driver_problems(made, toolkit, (card,))) is old
