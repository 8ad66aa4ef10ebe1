"""Recipes against llama.cpp's own tree: CUDA's with NVIDIA's own compiler (`make cuda-toolkit`),
Vulkan's with Debian's glslc (`make vulkan-tools`), HIP's as far as the tree's own files tell.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from llmdecl.engines.llama_cpp.build_options import recipe_for
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions, tree_options
from llmdecl.engines.llama_cpp.recipe import BuildRecipe
from llmdecl.engines.llama_cpp.toolkit_checks import toolkit_problems
from llmdecl.facts.hardware.machine import Machine
from llmdecl.facts.hardware.toolkits import toolkits_of
from tests.engines.test_build_options import ARCHIVE, TREE, engine, host

BUILD = Path(__file__).resolve().parents[2] / "build"
SOURCE = BUILD / "llama_cpp_python-0.3.36" / "vendor" / "llama.cpp"
TOOLKIT = BUILD / "cuda" / "nvidia" / "cu13"
OBJECTS = ("norm", "quantize", "scale")
CHANGED = {"CMAKE_INSTALL_RPATH", "GIT_EXE", "GIT_EXECUTABLE"}
"""Cache entries whose text CMake may write otherwise."""


@pytest.fixture(scope="module")
def source() -> Path:
    """llama.cpp's tree; CI has it, elsewhere a test without it is skipped."""
    if not (SOURCE / "CMakeLists.txt").exists():
        missing("llama.cpp's tree")
    return SOURCE


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """With NVIDIA's compiler on the path."""
    if not (TOOLKIT / "lib" / "stubs" / "libcuda.so").exists():
        missing("NVIDIA's compiler")
    return {
        "PATH": f"{TOOLKIT / 'bin'}:{os.environ['PATH']}",
        "LC_ALL": "C",
        "HOME": "/nonexistent",
    }


def missing(what: str, target: str = "cuda-toolkit") -> None:
    """Fails in CI, skips elsewhere."""
    why = f"{what} is not here; `make {target}` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def options_of(source: Path) -> TreeOptions:
    """The options of a tree on disk."""
    files = [*source.rglob("CMakeLists.txt"), *source.rglob("*.cmake")]
    return tree_options(path.read_text() for path in files)


def made_for(*devices: str, source: Path) -> BuildRecipe:
    """A recipe for a host with these devices, of this tree."""
    made, found = recipe_for("llama", engine(), host(*devices), ARCHIVE, tree=options_of(source))
    assert made is not None
    assert found == ()
    return made


def configure(recipe: BuildRecipe, source: Path, build: Path, environment: dict[str, str]) -> str:
    """What CMake says; a test fails with it."""
    told = [f"-D{name}={value}" for name, value in recipe.options.items()]
    argv = ["cmake", "-S", str(source), "-B", str(build), "-G", "Ninja", *told]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def cache(build: Path) -> dict[str, str]:
    """What CMake took each variable for."""
    entries = re.findall(
        r"^([A-Za-z0-9_]+):[A-Z]+=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE
    )
    return dict(entries)


def configure_exactly(
    recipe: BuildRecipe, source: Path, build: Path, environment: dict[str, str]
) -> None:
    """CMake uses every option, and takes it for what the recipe says."""
    said = configure(recipe, source, build, environment)
    assert "were not used by the project" not in said
    taken = cache(build)
    ours = {name: value for name, value in recipe.options.items() if name not in CHANGED}
    assert {name: taken.get(name) for name in ours} == ours


def test_the_recorded_options_are_the_trees(source: Path) -> None:
    """What other tests take for the options of this tree is read from it."""
    assert options_of(source) == TREE


def test_three_objects_of_ggml_cuda(
    source: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe for sm_86 and sm_90's PTX configures with no word of ours unused or changed, and
    what comes out is machine code and PTX for exactly these."""
    monkeypatch.setenv("PATH", environment["PATH"])
    machine = Machine()
    recipe, found = recipe_for(
        "llama",
        engine(architectures=("sm_86", "compute_90")),
        host("cuda:sm_86"),
        ARCHIVE,
        tree=options_of(source),
    )
    assert recipe is not None, found
    has = toolkits_of(machine.ask, machine.paths)
    assert toolkit_problems("llama", recipe, has, host("cuda:sm_86").devices) == ()
    assert "nvcc 13.0.88" in has.identity(recipe.backends)

    build = tmp_path / "build"
    configure_exactly(recipe, source, build, environment)
    folder = Path("ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir")
    objects = [str(folder / f"{name}.cu.o") for name in OBJECTS]
    subprocess.run(["ninja", "-C", str(build), "-j2", *objects], env=environment, check=True)
    for one in objects:
        listed = {
            kind: subprocess.run(
                ["cuobjdump", f"--list-{kind}", str(build / one)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for kind in ("elf", "ptx")
        }
        assert set(re.findall(r"\.(sm_\w+)\.cubin", listed["elf"])) == {"sm_86"}
        assert set(re.findall(r"\.(sm_\w+)\.ptx", listed["ptx"])) == {"sm_90"}


def test_ggml_vulkan_configures(source: Path, tmp_path: Path) -> None:
    """The recipe for Vulkan configures word for word, with a target for each shader."""
    packages = ("/usr/include/vulkan/vulkan.h", "/usr/include/spirv")
    if shutil.which("glslc") is None or not all(Path(path).exists() for path in packages):
        missing("Vulkan's compiler, headers or loader", "vulkan-tools")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/nonexistent"}
    build = tmp_path / "build"
    configure_exactly(made_for("vulkan", source=source), source, build, environment)
    shaders = source / "ggml" / "src" / "ggml-vulkan" / "vulkan-shaders"
    made = set(re.findall(r"ggml-vulkan/(\w+)\.comp\.cpp", (build / "build.ninja").read_text()))
    assert made == {path.stem for path in shaders.glob("*.comp")}


def test_other_backends_say_only_what_the_tree_has(source: Path) -> None:
    """HIP's, Metal's and SYCL's recipes, which can't be built here, pass no option of ggml's that
    this tree lacks, and give every gfx target by both names that the tree and ROCm read."""
    tree = options_of(source)
    for word in ("hip:gfx1100", "metal", "sycl"):
        options = made_for(word, source=source).options
        own = {name for name in options if name.startswith(("GGML_", "LLAMA_"))}
        assert own <= set(tree.declared) | set(tree.mentioned)
    hip = made_for("hip:gfx1100", "hip:gfx1201", source=source).options
    assert hip["CMAKE_HIP_ARCHITECTURES"] == hip["GPU_TARGETS"] == "gfx1100;gfx1201"
    text = (source / "ggml" / "src" / "ggml-hip" / "CMakeLists.txt").read_text()
    assert "CMAKE_HIP_ARCHITECTURES" in text
    assert "hip_VERSION} VERSION_LESS 6.1" in text  # toolkit_checks.ROCM_LEAST
