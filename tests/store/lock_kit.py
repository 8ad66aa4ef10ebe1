"""Locks with everything in them."""

from supply_kit import gguf

from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.facts.model import Flag
from llmdecl.store.layout import weights_digest
from llmdecl.store.model import (
    Lock,
    LockedEngine,
    LockedFile,
    LockedNix,
    LockedOrigin,
    LockedPackage,
    LockedWeights,
)

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
COMMIT = "1a2b3c4d5e6f" + "0" * 28
NIX = "/nix/store/" + "0" * 32 + "-llama-cpp-b10434"


def facts(**changes):
    from pathlib import Path

    found, _ = gguf(Path(__file__), "")
    return found.replace(file_bytes=4, **changes)


def file(sha256=A, name="m.gguf", path=None, size_bytes=4):
    return LockedFile(name=name, sha256=sha256, size_bytes=size_bytes, path=path)


def weights(source, files=(), *, package=None, origin=None, header=None):
    files = tuple(files) or (file(),)
    return LockedWeights(
        source=source,
        digest=weights_digest(files),
        files=files,
        package=package,
        gguf=header or facts(),
        origin=origin,
    )


ORIGIN = LockedOrigin(
    kind="hf",
    repository="owner/Repo-GGUF",
    requested="main",
    revision=COMMIT,
    license="mit",
    base_model=("owner/Repo",),
)
ARCHIVE = SourceArchive(
    origin="b10434",
    file_name="llama.cpp-b10434.tar.gz",
    sha256=C,
    size_bytes=30_000_000,
    root="llama.cpp-b10434",
    nar_hash="sha256-" + "A" * 43 + "=",
    commit=COMMIT,
    build=10434,
)
RECIPE = BuildRecipe(
    archive=ARCHIVE,
    version="b10434",
    backends=("cuda",),
    architectures=("sm_86",),
    cpu="dispatch",
    options={"GGML_CUDA": "ON", "GGML_NATIVE": "OFF"},
    toolchain=("nvcc 13.0.88",),
)
PACKAGE = LockedPackage(name="engine", version="1.0", file=file(D, "engine-1.0-py3-none-any.whl"))


def engine(provider, **changes):
    usual = {
        "kind": "llama.cpp",
        "provider": provider,
        "digest": D,
        "executable": "bin/llama-server",
        "binary_sha256": B,
        "version": "10434",
        "build": 10434,
        "commit": "1a2b3c4",
        "package": None,
        "flags": (Flag(names=("-m", "--model"), arity=1),),
    }
    return LockedEngine(**(usual | changes))


def built(recipe=RECIPE):
    return engine("source", digest=recipe.input_hash, binary_sha256=None, recipe=recipe)


def full():
    """Every kind of pin."""
    split = [file(A, "m-00001-of-00002.gguf"), file(B, "m-00002-of-00002.gguf")]
    sources = (
        weights("file:m.gguf"),
        weights("hf:owner/Repo-GGUF#Q4_K_M", split, origin=ORIGIN),
        weights("pypi:tiny==1.0/m.gguf", [file(path="m.gguf")], package=PACKAGE),
    )
    nix = LockedNix(
        package="nixpkgs#llama-cpp",
        reference="github:NixOS/nixpkgs/" + "1" * 40 + "#llama-cpp",
        derivation=f"{NIX}.drv",
        output=NIX,
    )
    return Lock(
        weights={each.source: each for each in sources},
        engines={
            "built": built(),
            "path": engine("path", executable="/opt/llama-server"),
            "pypi": engine("pypi", package=PACKAGE),
            "nix": engine("nix", executable=f"{NIX}/bin/llama-server", nix=nix),
        },
        ports={"m": 20000},
    )
