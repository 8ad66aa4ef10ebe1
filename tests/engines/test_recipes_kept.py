"""Recipes by backend, kept word for word (`--update-golden` writes them), and of any table."""

import json
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.diagnostics import has_errors
from llmdecl.engines.llama_cpp.amd_architectures import AMD
from llmdecl.engines.llama_cpp.architectures import covers
from llmdecl.engines.llama_cpp.build_options import recipe_for
from llmdecl.engines.llama_cpp.nvidia_architectures import NVIDIA
from llmdecl.values import to_json
from tests.engines.test_build_options import ARCHIVE, HASWELL, TREE, engine, host, recipe

KEPT = Path(__file__).parent / "data" / "cmake" / "recipes"
HOSTS = {
    "cpu": (),
    "cuda": ("cuda:sm_86", "cuda:sm_120"),
    "hip": ("hip:gfx1100",),
    "vulkan": ("vulkan",),
    "metal": ("metal",),
    "sycl": ("sycl",),
}

DEVICES = st.one_of(
    st.sampled_from([f"cuda:{name}" for name in NVIDIA]),
    st.sampled_from([f"hip:{name}" for name in AMD]),
    st.sampled_from(["vulkan", "sycl", "metal", "rpc", "cuda", "hip", "cuda:8.6", "hip:sm_86"]),
)
OPTIONS = st.dictionaries(
    st.one_of(
        st.sampled_from([*TREE.declared]),
        st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=8),
    ),
    st.sampled_from(["ON", "off", "1", "x y", "a;b"]),
    max_size=3,
)


@pytest.mark.parametrize("name", HOSTS)
def test_kept(name: str, update_golden: bool) -> None:
    """What a backend's engine is configured with changes only when it is meant to."""
    path = KEPT / f"{name}.json"
    text = json.dumps(dict(recipe(host(*HOSTS[name])).options), indent=1) + "\n"
    if update_golden:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@given(
    st.lists(DEVICES, max_size=3, unique=True),
    st.sampled_from(["dispatch", "native", "baseline"]),
    st.none() | st.lists(st.sampled_from([*NVIDIA, *AMD, "sm_1", " "]), max_size=2),
    OPTIONS,
)
def test_any_table(
    devices: list[str], cpu: str, words: list[str] | None, options: dict[str, str]
) -> None:
    """A recipe or errors, never both and never none; the order of devices means nothing; every
    device that a recipe is for runs some of its code."""
    keys = {"cpu": cpu, "options": options, **({} if words is None else {"architectures": words})}
    made, found = recipe_for("llama", engine(**keys), host(*devices), ARCHIVE, tree=TREE)
    assert (made is None) == has_errors(found)
    if made is None:
        return
    assert all(isinstance(value, str) for value in made.options.values())
    for one in permutations(devices):
        again, _ = recipe_for("llama", engine(**keys), host(*one), ARCHIVE, tree=TREE)
        assert again is not None
        assert to_json(again) == to_json(made)
    for word in devices:
        backend, _, has = word.partition(":")
        if backend == "cuda":
            assert any(covers(built, has) for built in made.architectures)


def test_features_in_any_order() -> None:
    """A native recipe is a set of features."""
    first = recipe(host(features=HASWELL), cpu="native")
    assert first == recipe(host(features=tuple(reversed(HASWELL))), cpu="native")
