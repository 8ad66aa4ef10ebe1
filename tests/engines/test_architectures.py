"""Devices and architectures: the tables, and which code runs where."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.engines.llama_cpp.amd_architectures import AMD, GENERIC, target_of
from llmdecl.engines.llama_cpp.architectures import (
    backend_of,
    cmake,
    covers,
    needed_override,
    order,
    problem,
    together,
)
from llmdecl.engines.llama_cpp.nvidia_architectures import MACHINE_CODE_DRIVER, NVIDIA, PTX_DRIVER
from tests.facts.test_toolkits import recorded

NAMES = (*NVIDIA, *AMD)
WORDS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from([name.replace("sm", "compute") for name in NVIDIA]),
    st.sampled_from([f"{name}{suffix}" for name in NVIDIA for suffix in "af"]),
    st.sampled_from(list(GENERIC)),
    st.from_regex(r"gfx[0-9a-f]{3,4}(:xnack[+-])?", fullmatch=True),
    st.text(max_size=12),
)


def test_the_table_is_what_nvcc_says() -> None:
    """CUDA 13.0 compiles for exactly the architectures that the table gives it."""
    cuda = recorded("debian-12-cuda-13").cuda
    assert cuda is not None
    release = (13, 0)
    in_table = {
        name
        for name, known in NVIDIA.items()
        if known.first <= release and (known.last is None or release <= known.last)
    }
    assert in_table == set(cuda.codes or ())


def test_nvidia_in_order() -> None:
    """Capabilities ascend, every one names cards, and none ends before it begins."""
    assert sorted(NVIDIA, key=order) == list(NVIDIA)
    for name, known in NVIDIA.items():
        assert known.cards, name
        assert known.last is None or known.first <= known.last, name


def test_drivers_ascend() -> None:
    """A later toolkit needs a later driver, and PTX never an earlier one than machine code."""
    for (_, before), (_, after) in pairwise(sorted(PTX_DRIVER.items())):
        assert before < after
    for (major, minor), driver in PTX_DRIVER.items():
        assert driver >= MACHINE_CODE_DRIVER[major] or (major, minor) == (11, 0)


def test_amd_pairs_lead_to_code_that_exists() -> None:
    """Every override names a target of the table that AMD's libraries know, of one family; a
    device that no library knows has one, or is none of ROCm's any more."""
    for name, known in AMD.items():
        assert re.fullmatch(r"gfx\d+[0-9a-f]{2}", name)
        for override in known.overrides:
            target = AMD[target_of(override)]
            assert target.libraries is not None, (name, override)
            assert known.generation.startswith(target.generation)
        assert known.libraries or known.overrides, name
    assert {name for family in GENERIC.values() for name in family} <= set(AMD)


@pytest.mark.parametrize(
    ("override", "target"),
    [("10.3.0", "gfx1030"), ("11.0.2", "gfx1102"), ("9.0.0", "gfx900"), ("9.0.10", "gfx90a")],
)
def test_overrides_are_versions_of_targets(override: str, target: str) -> None:
    """ROCm reads `major.minor.stepping`, and targets write the last two as hexadecimal digits."""
    assert target_of(override) == target


@pytest.mark.parametrize(
    ("word", "device", "runs"),
    [
        ("sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_80", "sm_87", False),  # Orin takes no code of cards
        ("sm_87", "sm_89", False),
        ("sm_75", "sm_80", False),  # another major version
        ("compute_75", "sm_121", True),
        ("compute_90", "sm_89", False),
        ("sm_90a", "sm_90", True),
        ("compute_90a", "sm_100", False),
        ("sm_100f", "sm_103", True),
        ("sm_120", "sm_121", False),  # llama.cpp compiles 12.x for exactly one
        ("sm_120f", "sm_121", True),
        ("gfx1030", "gfx1031", False),
        ("gfx90a:xnack-", "gfx90a", True),
        ("gfx10-3-generic", "gfx1036", True),
        ("gfx11-generic", "gfx1201", False),
        ("sm_86", "gfx1100", False),
    ],
)
def test_covers(word: str, device: str, runs: bool) -> None:
    """Binary and PTX compatibility, as NVIDIA's and LLVM's manuals have it."""
    assert covers(word, device) is runs


@given(st.sampled_from(NAMES))
def test_every_device_runs_its_own_code(name: str) -> None:
    """The default, a device's own architecture, always covers it."""
    assert covers(name, name)
    override = needed_override(name)
    if override is not None:
        assert covers(target_of(override), target_of(override))


@given(st.lists(WORDS, max_size=4, unique=True))
def test_any_words(words: list[str]) -> None:
    """Nonsense is said to be none; what is none is passed to nobody; CMake gets its own forms."""
    good = [word for word in words if problem(word, ("cuda", "hip")) is None]
    assert all((backend_of(word) is None) == (word not in good) for word in words)
    options = cmake(good)
    for form in filter(None, options.get("CMAKE_CUDA_ARCHITECTURES", "").split(";")):
        assert re.fullmatch(r"[0-9]{2,3}[af]?-(real|virtual)", form)
    assert len(together("architectures", good)) <= 1
    assert cmake(list(reversed(good))) == options


@pytest.mark.parametrize(
    ("word", "near"),
    [("8.6", "sm_86"), ("86", "sm_86"), ("86-real", "sm_86"), ("90-virtual", "compute_90")],
)
def test_other_spellings(word: str, near: str) -> None:
    """CMake's and NVIDIA's other spellings are refused with ours."""
    said = problem(word, ("cuda",))
    assert said is not None
    assert f"`{near}`" in said
