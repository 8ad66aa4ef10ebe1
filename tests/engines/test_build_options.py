"""Which CMake options a spec's engine is built with."""

import base64
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdecl.engines import rules
from llmdecl.engines.llama_cpp.build_options import recipe_for
from llmdecl.engines.llama_cpp.cmake_options import TreeOptions
from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.facts.model import CpuFacts, DeviceFacts, HostFacts
from llmdecl.facts.toolkits import Compiler, CudaToolkit, Toolkits
from llmdecl.spec.schema import SourceEngine
from llmdecl.values import from_json

DATA = Path(__file__).parent / "data" / "cmake"
TREE = from_json((DATA / "0c1e570.json").read_bytes(), TreeOptions)
"""The options of llama.cpp's tree in llama-cpp-python 0.3.36, by `tree_options`."""

ARCHIVE = SourceArchive(
    origin="b10434",
    file_name="llama.cpp-b10434.tar.gz",
    sha256="0" * 64,
    size_bytes=1,
    root="llama.cpp-b10434",
    nar_hash="sha256-" + "A" * 43 + "=",
    commit="0c1e570" + "0" * 33,
    build=10434,
)
HASWELL = ("avx", "avx2", "bmi2", "f16c", "fma", "sse2", "sse4_2")


def device(word: str, number: int = 0) -> DeviceFacts:
    """`cuda:sm_86` as a declared device."""
    backend, _, architecture = word.partition(":")
    return DeviceFacts(
        id=f"gpu{number}",
        backend=backend,
        name=None,
        memory_bytes=24 << 30,
        architecture=architecture or None,
        declared=True,
        backends=(backend,),
    )


def host(*devices: str, features: tuple[str, ...] = HASWELL) -> HostFacts:
    """A machine with these devices."""
    return HostFacts(
        name="atlas",
        cpu=CpuFacts(model=None, cores_physical=8, cores_logical=16, features=features),
        ram_bytes=64 << 30,
        ram_declared=True,
        devices=tuple(device(word, number) for number, word in enumerate(devices)),
    )


def engine(**keys: object) -> SourceEngine:
    """A table of the spec."""
    table = {"kind": "llama.cpp", "provider": "source", "version": "b10434", **keys}
    return SourceEngine.model_validate_json(json.dumps(table))


def recipe(machine: HostFacts, **keys: object) -> BuildRecipe:
    """A recipe without an error."""
    made, _ = recipe_for("llama", engine(**keys), machine, ARCHIVE, tree=TREE)
    assert made is not None
    return made


def codes(machine: HostFacts, **keys: object) -> list[str]:
    """What is said of a table."""
    return [d.code for d in recipe_for("llama", engine(**keys), machine, ARCHIVE, tree=TREE)[1]]


@pytest.mark.parametrize(
    ("devices", "backends", "architectures"),
    [
        ((), (), ()),
        (("cuda:sm_86", "cuda:sm_86"), ("cuda",), ("sm_86",)),
        (("cuda:sm_120", "cuda:sm_86"), ("cuda",), ("sm_86", "sm_120")),
        (("hip:gfx1100",), ("hip",), ("gfx1100",)),
        (("hip:gfx1031",), ("hip",), ("gfx1030", "gfx1031")),
        (("cuda:sm_89", "vulkan"), ("cuda", "vulkan"), ("sm_89",)),
        (("metal",), ("metal",), ()),
        (("rpc",), ("rpc",), ()),
    ],
)
def test_backends_and_architectures_are_those_of_the_devices(
    devices: tuple[str, ...], backends: tuple[str, ...], architectures: tuple[str, ...]
) -> None:
    """Without a word in the spec, the engine is for the host's devices and nothing else."""
    made = recipe(host(*devices))
    assert made.backends == backends
    assert made.architectures == architectures


def test_an_integrated_device_beside_a_card() -> None:
    """A processor's own graphics, detected beside a card, are not built for; declared ones are,
    and alone they are, too."""
    own = device("hip:gfx1036", 1).replace(integrated=True, declared=False)
    card = device("hip:gfx1100").replace(declared=False)
    both = host().replace(devices=(card, own))
    assert recipe(both).architectures == ("gfx1100",)
    declared = both.replace(devices=(card, own.replace(declared=True)))
    assert recipe(declared).architectures == ("gfx1030", "gfx1036", "gfx1100")
    assert recipe(both.replace(devices=(own,))).architectures == ("gfx1030", "gfx1036")


TREES = {path.stem: from_json(path.read_bytes(), TreeOptions) for path in DATA.glob("*.json")}
"""Of llama-cpp-python 0.3.9 (spring 2025), 0.3.20 and 0.3.36."""
ELSEWHERE = {"GGML_VXE", "GGML_HEXAGON_HTP_CERT", "GGML_SYCL_MAX_PARALLEL_LINK_JOBS"}
"""Of other processors, and of backends that no engine has."""


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("devices", [(), ("cuda:sm_86", "hip:gfx1100", "vulkan"), ("metal",)])
def test_what_depends_on_the_machine_is_set(name: str, devices: tuple[str, ...]) -> None:
    """In versions of two years, every option whose default CMake works out is set, but folders and
    what no engine has; and none is passed that a version has not."""
    tree = TREES[name]
    made, found = recipe_for("llama", engine(), host(*devices), ARCHIVE, tree=tree)
    assert made is not None
    assert found == ()
    own = {word for word in made.options if word.startswith(("GGML_", "LLAMA_"))}
    assert own <= set(tree.declared) | {"LLAMA_BUILD_COMMIT", "LLAMA_BUILD_NUMBER"}
    left = {
        name
        for name, option in tree.declared.items()
        if option.default is None
        and name.startswith(("GGML_", "LLAMA_", "BUILD_"))
        and not name.endswith("_INSTALL_DIR")
        and name not in made.options
    }
    of_backends = {"GGML_BLAS_VENDOR", "GGML_METAL_EMBED_LIBRARY", "GGML_CUDA_GRAPHS"}
    assert left <= ELSEWHERE | of_backends


def test_the_toolchain_is_told_and_decides_nothing() -> None:
    """The recipe's words for people come from the toolkits, and its hash does not."""
    toolkits = Toolkits(
        compiler=Compiler(id="GNU", version="12.2.0"),
        cmake="3.25.1",
        cuda=CudaToolkit(version="13.0", build="13.0.88"),
    )
    bare = recipe(host("cuda:sm_86"))
    made, _ = recipe_for(
        "llama", engine(), host("cuda:sm_86"), ARCHIVE, tree=TREE, toolkits=toolkits
    )
    assert made is not None
    assert made.toolchain == ("GNU 12.2.0", "cmake 3.25.1", "nvcc 13.0.88")
    assert made.input_hash == bare.input_hash


def test_native_names_the_instruction_sets() -> None:
    """`native` is what the host's processor has, not what the build machine finds."""
    made = recipe(host(features=(*HASWELL, "avx512f")), cpu="native")
    assert made.options["GGML_NATIVE"] == "OFF"
    assert made.options["GGML_AVX2"] == "ON"
    assert made.options["GGML_AVX512"] == "OFF"  # needs four more
    assert made.options["GGML_BACKEND_DL"] == "OFF"
    arm = recipe(host(features=("asimd", "asimddp", "asimdhp", "fphp")), cpu="native")
    assert arm.options["GGML_CPU_ARM_ARCH"] == "armv8.2-a+dotprod+fp16"
    assert codes(host(features=("vxe",)), cpu="native") == [rules.NATIVE_UNKNOWN.code]


def test_baseline_has_no_avx() -> None:
    """llama.cpp's own default without `GGML_NATIVE` is AVX2; the baseline is every x86-64's."""
    made = recipe(host(), cpu="baseline")
    assert {made.options[f"GGML_{word}"] for word in ("SSE42", "AVX", "AVX2", "FMA")} == {"OFF"}


@given(st.binary(min_size=32, max_size=32))
def test_a_bare_tree_has_a_version_that_a_lock_takes(digest: bytes) -> None:
    """A folder of no commit and no release is called by digits, whatever its hash begins with."""
    nar = f"sha256-{base64.b64encode(digest).decode()}"
    bare = ARCHIVE.replace(commit=None, build=None, origin="file:llama.cpp", nar_hash=nar)
    made, _ = recipe_for(
        "llama", engine(version=None, source="file:llama.cpp"), host(), bare, tree=TREE
    )
    assert made is not None
    assert re.fullmatch("[0-9a-f]{8}", made.version)


@pytest.mark.parametrize(
    ("backend", "name", "help_"),
    [
        ("cuda", "NVIDIA GeForce GTX 1080 Ti", "sm_61"),
        ("cuda", "NVIDIA A100-SXM4-40GB", "sm_80"),  # A10 is another
        ("cuda", "NVIDIA RTX 6000 Ada Generation", "sm_89"),
        ("hip", "AMD Radeon RX 7900 XTX", "gfx1100"),
        ("cuda", "NVIDIA Graphics Device", None),
        ("cuda", None, None),
    ],
)
def test_an_architecture_is_known_by_the_card(
    backend: str, name: str | None, help_: str | None
) -> None:
    """Where nobody tells the architecture the tables do, as help: it is the user who says it."""
    machine = host(backend)
    machine = machine.replace(devices=(machine.devices[0].replace(name=name),))
    _, (found,) = recipe_for("llama", engine(), machine, ARCHIVE, tree=TREE)
    assert found.code == rules.ARCHITECTURE_UNKNOWN.code
    assert [f'`architecture = "{help_}"` is what a {name} has'] * (help_ is not None) == [
        *found.help
    ]


def test_architectures_of_the_spec_are_taken_where_the_driver_says_none() -> None:
    """A known card is judged by its name; of an unknown one it is said that nothing is proved."""
    for name, words, code in (
        ("GeForce GTX 1080 Ti", ["sm_61"], None),
        ("GeForce GTX 1080 Ti", ["sm_86"], rules.DEVICE_NOT_COVERED),
        ("NVIDIA Graphics Device", ["sm_61"], rules.DEVICE_UNPROVED),
    ):
        machine = host("cuda")
        machine = machine.replace(devices=(machine.devices[0].replace(name=name),))
        assert codes(machine, architectures=words) == ([] if code is None else [code.code]), name


def test_a_version_without_dispatch_gets_the_baseline() -> None:
    """An option that the version has not is not passed, and the loss is said."""
    declared = {k: v for k, v in TREE.declared.items() if k != "GGML_CPU_ALL_VARIANTS"}
    made, found = recipe_for(
        "llama", engine(), host(), ARCHIVE, tree=TreeOptions(declared=declared)
    )
    assert made is not None
    assert "GGML_CPU_ALL_VARIANTS" not in made.options
    assert made.options["GGML_BACKEND_DL"] == "OFF"
    assert [d.code for d in found] == [rules.NO_DISPATCH.code]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"GGML_CUDA": "OFF"}, rules.OPTION_CONTRADICTS),
        ({"GGML_VULKAN": "ON"}, rules.OPTION_CONTRADICTS),
        ({"CMAKE_CUDA_ARCHITECTURES": "75"}, rules.OPTION_CONTRADICTS),
        ({"GGML_NATIVE": "ON"}, rules.OPTION_CONTRADICTS),
        ({"CMAKE_INSTALL_PREFIX": "/usr"}, rules.OPTION_CONTRADICTS),
        ({"LLAMA_BUILD_SERVER": "no"}, rules.OPTION_CONTRADICTS),
        ({"BUILD_SHARED_LIBS": "OFF"}, rules.OPTION_CONTRADICTS),
        ({"GGML_STATIC": "1"}, rules.OPTION_CONTRADICTS),
        ({"GGML_CUDA_F16": "ON"}, rules.OPTION_UNKNOWN),
        ({"GGML_CUDA_FORCE_MQ": "ON"}, rules.OPTION_UNKNOWN),
        ({"GGML_CUDA_FORCE_MMQ": "perhaps"}, rules.OPTION_VALUE),
        ({"CMAKE_CXX_FLAGS": "-O2\n-g"}, rules.OPTION_VALUE),
        ({"a=b": "c"}, rules.OPTION_UNKNOWN),
    ],
)
def test_refused_options(options: dict[str, str], code: rules.Rule) -> None:
    """What contradicts the spec, does nothing here or is no value is refused."""
    assert codes(host("cuda:sm_86"), options=options) == [code.code]


def test_options_of_the_spec_win() -> None:
    """Anything else is the user's; switches are written in one way, so that hashes are equal."""
    made = recipe(host("cuda:sm_86"), options={"GGML_CUDA_FA_ALL_QUANTS": "true"})
    assert made.options["GGML_CUDA_FA_ALL_QUANTS"] == "ON"
    assert made == recipe(host("cuda:sm_86"), options={"GGML_CUDA_FA_ALL_QUANTS": "1"})
    assert recipe(host(), options={"GGML_RPC": "OFF", "CMAKE_CXX_FLAGS": "-g"})


@pytest.mark.parametrize(
    ("devices", "keys", "code"),
    [
        (("cuda:sm_75",), {"architectures": ["sm_86"]}, rules.DEVICE_NOT_COVERED),
        (("cuda:sm_89",), {"architectures": ["sm_86"]}, None),
        (("cuda:sm_90",), {"architectures": ["compute_80"]}, None),
        (("cuda:sm_121",), {"architectures": ["sm_120"]}, rules.DEVICE_NOT_COVERED),
        (("hip:gfx1031",), {"architectures": ["gfx1030"]}, rules.NEEDS_OVERRIDE),
        (("hip:gfx1100",), {"architectures": ["gfx1030"]}, rules.DEVICE_NOT_COVERED),
        (("cuda:sm_86",), {"architectures": ["gfx1100", "sm_86"]}, rules.NOT_AN_ARCHITECTURE),
        (("cuda:sm_86",), {"architectures": ["8.6"]}, rules.NOT_AN_ARCHITECTURE),
        (("cuda",), {}, rules.ARCHITECTURE_UNKNOWN),
        (("cuda:sm_61", "cuda:sm_110"), {}, rules.NO_TOOLKIT_FOR_ALL),
        ((), {"backends": ["cuda"]}, rules.ARCHITECTURE_UNKNOWN),
        ((), {"backends": ["cuda"], "architectures": ["sm_90"]}, None),
        (("cuda:sm_86", "hip:gfx1100"), {"cpu": "native"}, rules.BACKENDS_APART),
        (("metal", "cuda:sm_86"), {}, rules.BACKENDS_APART),
    ],
)
def test_devices_are_covered(
    devices: tuple[str, ...], keys: dict[str, object], code: rules.Rule | None
) -> None:
    """Every device of the host that the engine's backends reach has code, or it is said."""
    assert codes(host(*devices), **keys) == ([] if code is None else [code.code])
