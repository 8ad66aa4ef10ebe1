"""The flake: what it offers, with our stand-in for nixpkgs."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from llmdecl import __version__
from llmdecl.store.lock import write_lock
from llmdecl.store.model import Lock, LockedEngine
from llmdecl.values import to_json
from tests.nix.nix import STAND_IN
from tests.nix.recipes import RECIPES

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def flake(tmp_path_factory):
    """The flake's own files in a folder, so that nothing else is copied into a store."""
    folder = tmp_path_factory.mktemp("flake") / "llmdecl"
    folder.mkdir()
    for name in ("LICENSE", "README.md", "flake.nix", "pyproject.toml"):
        shutil.copy(TOP / name, folder)
    for name in ("examples", "llmdecl", "modules"):
        shutil.copytree(TOP / name, folder / name)
    (folder / "notes.txt").write_text("no part of the package")
    stand_in = folder.parent / "nixpkgs"
    shutil.copytree(STAND_IN, stand_in)
    (stand_in / "said").mkdir()
    return folder


def flake_words(verb, flake, *more):
    instead = ("--override-input", "nixpkgs", f"path:{flake.parent / 'nixpkgs'}")
    return ("nix", *verb, *more, *instead, "--no-write-lock-file", "--offline")


def test_show(nix, flake):
    """Packages, checks, shells and a formatter for two systems; an overlay; a library."""
    said = nix.say(*flake_words(("flake", "show"), flake, "--json", f"path:{flake}"))
    shown = json.loads(said)
    assert set(shown) == {
        *("checks", "devShells", "formatter", "homeModules", "lib"),
        *("nixosModules", "overlays", "packages", "templates"),
    }
    for system in ("x86_64-linux", "aarch64-linux"):
        assert set(shown["packages"][system]) == {"default", "llmdecl"}
    assert shown["packages"]["x86_64-linux"]["default"]["name"] == f"llmdecl-{__version__}"


def test_check(nix, flake):
    """`nix flake check` passes, and makes no import from a derivation."""
    nix.say(*flake_words(("flake", "check"), flake, f"path:{flake}"))


def test_the_package_is_made_of_its_own_files(nix, flake):
    """Notes, tests and caches of the repository make no other package."""
    module = f"path:{flake}#llmdecl.module"
    said = nix.say(*flake_words(("build",), flake, "--json", "--no-link", module))
    output = Path(json.loads(said)[0]["outputs"]["out"])
    assert sorted(path.name for path in output.iterdir()) == [
        "LICENSE",
        "README.md",
        "llmdecl",
        "pyproject.toml",
    ]
    assert not list(output.rglob("__pycache__"))


def test_the_program_is_a_python_that_has_the_module(nix, flake):
    """What it starts again by its own interpreter (`-m pip`) finds llmdecl's packages."""
    said = nix.say(*flake_words(("build",), flake, "--json", "--no-link", f"path:{flake}"))
    output = Path(json.loads(said)[0]["outputs"]["out"])
    assert [path.name for path in output.rglob("*") if path.is_file()] == ["llmdecl"]
    script = (output / "bin/llmdecl").read_text()
    assert re.search(r'exec /\S+-python3-env-1/bin/python3 -P -m llmdecl "\$@"', script)
    environment = f"path:{flake}#llmdecl.python.modules"
    names = nix.say(
        *flake_words(("eval",), flake, "--json", environment),
        *("--apply", "map (each: each.pname)"),
    )
    assert json.loads(names) == ["llmdecl"]


def test_dependencies_are_those_of_pyproject(nix):
    """`modules/package.nix` and `pyproject.toml` name the same packages."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["systemd"]]
    package = f"(import {STAND_IN} {{ }}).callPackage {TOP}/modules/package.nix {{ }}"
    found = nix.value(f"map (each: each.pname) ({package}).module.buildInputs")
    assert sorted(found) == sorted(re.match(r"[\w-]+", each)[0] for each in wanted)


def test_read_lock(nix, tmp_path):
    """`lib.readLock` gives what is pinned, by source and engine; another schema is an error."""
    recipe = RECIPES["spaced"]
    engine = LockedEngine(
        kind="llama.cpp",
        provider="source",
        digest=recipe.input_hash,
        executable="bin/llama-server",
        binary_sha256=None,
        version=recipe.version,
        build=10434,
        commit=None,
        package=None,
        flags=(),
        recipe=recipe,
    )
    path, lock = tmp_path / "llmdecl.lock", Lock(engines={"ma${in}": engine}, ports={"m": 20000})
    write_lock(path, lock)
    expression = f"(import {TOP}/modules/lib.nix).readLock {path}"
    expected = json.loads(to_json(lock))
    assert nix.value(expression) == {
        name: expected[name] for name in ("weights", "engines", "ports")
    }
    path.write_text('{"schema": 99}')
    done = nix.run("nix-instantiate", "--eval", "--strict", "-E", expression)
    assert done.returncode != 0
    assert "has schema 99, and this llmdecl reads 2" in done.stderr
