"""Recipes for tests: of the stand-in tree, and of llama.cpp as they are written for people."""

import hashlib
import shutil
import tarfile
from pathlib import Path

from llmdecl.builder.build import Builder, Order
from llmdecl.engines.llama_cpp.recipe import BuildRecipe, SourceArchive
from llmdecl.store.store import Store

STANDIN = Path(__file__).parent / "standin"
COMMIT = "0c1e570" + "0" * 33


def recipe(backends=(), architectures=(), archive=None, **options) -> BuildRecipe:
    """A build of the stand-in; options by keyword."""
    source = archive or SourceArchive(
        origin="file:standin.tar.gz",
        file_name="standin.tar.gz",
        sha256="1" * 64,
        size_bytes=1,
        root="standin",
        nar_hash="sha256-AAAA",
        commit=COMMIT,
        build=10434,
    )
    return BuildRecipe(
        archive=source,
        version="b10434",
        backends=backends,
        architectures=architectures,
        cpu="baseline",
        options={
            "GGML_RPC": "ON",
            "LLAMA_BUILD_COMMIT": "0c1e570",
            "LLAMA_BUILD_NUMBER": "10434",
            **options,
        },
        toolchain=("GNU 12.2.0",),
    )


def pack(folder: Path) -> SourceArchive:
    """The stand-in as an archive `standin.tar.gz` in `folder`."""
    path = folder / "standin.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(STANDIN, "top/standin")
    return SourceArchive(
        origin=f"file:{path.name}",
        file_name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        root="top/standin",
        nar_hash="sha256-AAAA",
        commit=COMMIT,
        build=10434,
    )


def order(built: BuildRecipe, **more) -> Order:
    """The stand-in's tree, unpacked into where the builder wants it."""

    def tree(folder: Path) -> Path:
        return Path(shutil.copytree(STANDIN, folder / "tree"))

    return Order(name="llama", recipe=built, tree=tree, **more)


def builder(folder: Path, tell=None) -> Builder:
    """With a store and a cache below `folder`."""
    return Builder(Store(folder / "store"), folder / "cache", tell)


def entries(folder: Path) -> list[str]:
    """What is in the store's `engines/`, and what was left in its work places."""
    store = folder / "store"
    return sorted(path.name for name in ("engines", "partial") for path in (store / name).glob("*"))
