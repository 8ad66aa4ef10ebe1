"""Recipes for people: what CMake, a shell and a container builder make of them."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from llmdecl.emit import build_recipe
from llmdecl.emit.dialects import cmake
from llmdecl.emit.table import emit_plan
from llmdecl.engines.llama_cpp.tools import TOOLS, resolve, spellings
from llmdecl.plan.model import EnginePlan, Word
from tests.activate.conftest import model, stack_plan
from tests.builder.recipes import STANDIN, builder, order, pack, recipe

EXPECTED = Path(__file__).parent / "data" / "build_recipe"
CASES = {
    "cpu": recipe(),
    "cuda": recipe(
        backends=("cuda",),
        architectures=("sm_86", "sm_120a"),
        CMAKE_CUDA_ARCHITECTURES="86-real;120a-real",
        CMAKE_CUDA_FLAGS="--threads 1",
        GGML_CUDA="ON",
        ODD=r'a "quoted" \ $HOME ${VAR} @AT@ ; two',
    ),
    "metal": recipe(backends=("metal",), GGML_METAL="ON"),
    "vulkan": recipe(backends=("vulkan",), GGML_VULKAN="ON"),
}


@pytest.mark.parametrize("case", CASES)
def test_texts(case, update_golden):
    """What is written for each kind of engine, to the byte."""
    for name, text in build_recipe.texts(CASES[case]).items():
        path = EXPECTED / case / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text


def test_a_plan_has_the_recipes_of_its_source_engines():
    """Three files an engine that is built, none for others; an option CMake can't be given is an
    error at its key."""
    plan = stack_plan(model("smol"))
    paths = {artefact.path for artefact in emit_plan(plan)[0]}
    assert not [path for path in paths if path.startswith("engines/")]
    engine = EnginePlan(
        name="own", digest="d", executable=Word(text="x"), version="b1", recipe=recipe()
    )
    plan = plan.replace(engines=(*plan.engines, engine))
    paths |= {f"engines/own/{name}" for name in ("Containerfile", "build.sh", "recipe.cmake")}
    assert paths <= {artefact.path for artefact in emit_plan(plan)[0]}
    for options in ({"A B": "1"}, {"A": "1\n2"}):
        bad = engine.replace(recipe=recipe(**options))
        found = emit_plan(plan.replace(engines=(bad,)))[1]
        assert ["engines.own.options"] == [problem.address for problem in found]


@pytest.mark.parametrize(
    ("backend", "words", "image"),
    [
        ("cuda", ("sm_86",), "cuda:13.0.1-devel"),
        ("cuda", ("sm_61", "sm_120"), "cuda:12.9.1-devel"),
        ("cuda", ("compute_70",), "cuda:12.9.1-devel"),
        ("hip", ("gfx1032", "gfx1100"), "rocm/dev-ubuntu-24.04:7.1.1"),
        ("hip", ("gfx906:xnack-",), "rocm/dev-ubuntu-24.04:6.3.4"),
        ("vulkan", (), "debian:12"),
    ],
)
def test_images_have_a_toolkit_for_the_devices(backend, words, image):
    """CUDA 13 dropped Pascal and Volta, AMD's packages after ROCm 6.3 dropped Vega."""
    text = build_recipe.containerfile(recipe(backends=(backend,), architectures=words))
    assert f"{image}" in text.partition("ARG BUILD_IMAGE=")[2].splitlines()[0]


def test_no_container_for_metal():
    """Apple's compiler is in no image."""
    made = build_recipe.texts(recipe(backends=("metal",)))
    assert {"build.sh", "recipe.cmake"} == set(made)


def test_programs_are_linked_without_a_driver():
    """With CUDA as a library the driver's may be missing; modules and CPU engines need no word."""
    word = "--allow-shlib-undefined"
    assert word in build_recipe.cmake_cache(recipe(backends=("cuda",)))
    assert word not in build_recipe.cmake_cache(recipe(backends=("cuda",), GGML_BACKEND_DL="ON"))
    assert word not in build_recipe.cmake_cache(recipe())


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("case", CASES)
def test_the_script_parses(case, shell, tmp_path):
    """POSIX shells take it."""
    script = tmp_path / "build.sh"
    script.write_text(build_recipe.build_script(CASES[case]))
    subprocess.run([shell, "-n", script], check=True)


def test_shellcheck_has_nothing_to_say(tmp_path):
    """A linter of shell scripts, where it is installed."""
    if shutil.which("shellcheck") is None:
        message = "no shellcheck here; `make test-tools` brings it"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    script = tmp_path / "build.sh"
    script.write_text(build_recipe.build_script(CASES["cuda"]))
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stdout)


def test_cmake_reads_back_every_value(tmp_path):
    """Whatever is in an option, CMake's cache has just that."""
    if shutil.which("cmake") is None:
        message = "no cmake here"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    tree, cache = tmp_path / "a tree", tmp_path / "recipe.cmake"
    tree.mkdir()
    wanted = CASES["cuda"].options
    lines = ["cmake_minimum_required(VERSION 3.14)", "project(x NONE)"]
    lines += [f'file(WRITE "${{CMAKE_BINARY_DIR}}/{name}" "${{{name}}}")' for name in wanted]
    lines += ['file(WRITE "${CMAKE_BINARY_DIR}/flags" "${CMAKE_CXX_FLAGS}")']
    (tree / "CMakeLists.txt").write_text("\n".join(lines))
    cache.write_text(build_recipe.cmake_cache(CASES["cuda"]))
    build = tmp_path / "b"
    words = ["cmake", "-C", cache, "-S", tree, "-B", build]
    subprocess.run(words, check=True, capture_output=True)
    for name, value in wanted.items():
        if name != "CMAKE_CUDA_FLAGS":  # has the paths, too
            assert value == (build / name).read_text()
    assert "-Xcompiler=-ffile-prefix-map" in (build / "CMAKE_CUDA_FLAGS").read_text()
    assert f'"-ffile-prefix-map={tree}=/llmdecl/src"' in (build / "flags").read_text()


def test_the_script_builds_what_llmdecl_builds(tmp_path):
    """Run by hand from an archive, in folders with spaces: the same files to the byte; a changed
    archive is refused, and a tree is taken, too."""
    if not all(map(shutil.which, ("cmake", "c++"))):
        message = "no cmake or compiler here"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    here = tmp_path / "by hand"
    here.mkdir()
    archive = pack(here)
    built = recipe(archive=archive)
    for name, text in build_recipe.texts(built).items():
        (here / name).write_text(text)

    def script(*words, expect=0):
        done = subprocess.run(
            ["sh", here / "build.sh", *words], capture_output=True, text=True, check=False
        )
        assert expect == done.returncode, done.stdout + done.stderr
        return done.stderr

    told = script("-j", "2", here / "standin.tar.gz", here / "out put")
    assert "this version has no llama-perplexity" in told
    ours = builder(tmp_path).build(order(built))

    def digests(folder):
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (folder / "bin").iterdir()
        }

    assert digests(ours.folder) == digests(here / "out put")
    assert not (here / "out put.work").exists()
    said = subprocess.check_output([here / "out put" / "bin" / "llama-server"], text=True)
    assert said.startswith("llama-server: version: 10434")

    with tarfile.open(here / "standin.tar.gz", "w:gz") as other:
        other.add(STANDIN, "top/standin")
        other.add(__file__, "top/more")
    script(here / "standin.tar.gz", here / "refused", expect=1)
    assert not (here / "refused" / "bin").exists()
    script(here / "standin.tar.gz", expect=64)


def test_tools_by_every_name_they_had():
    """Targets of today and of 2024 lead to the same tools, and what a tree lacks is said."""
    assert ("ggml-rpc-server", "rpc-server") == spellings("rpc-server")
    assert spellings("rpc-server") == spellings("ggml-rpc-server")
    assert ("other",) == spellings("other")
    old = resolve(["server", "main", "quantize", "perplexity", "llama-bench", "gguf-split"])
    assert "server" == old[0]["llama-server"]
    assert "main" == old[0]["llama-cli"]
    assert ("rpc-server", "llama-fit-params") == old[1]
    today, absent = resolve(names[0] for names in TOOLS.values())
    assert () == absent
    assert set(TOOLS) == set(today)


@pytest.mark.parametrize(
    ("name", "is_refused"),
    [("GGML_CUDA", False), ("_x1", False), ("1x", True), ("a-b", True), ("", True), ("é", True)],
)
def test_names_of_cache_entries(name, is_refused):
    """What CMake takes without quoting."""
    assert is_refused == cmake.refused_name(name)
