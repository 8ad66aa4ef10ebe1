"""The examples of modules compile, with locks and an engine that stand in for the real ones."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from llmdecl.sources.reference import source_key
from llmdecl.spec.load import load_spec
from tests.nix.stacks import lock
from tests.nix.test_modules import TOP, evaluation

SCRIPT = """\
#!/bin/sh
# GGML_CUDA_ENABLE_UNIFIED_MEMORY CUDA_Host
case $1 in
--version) echo 'version: 10434 (0c1e570)' ;;
--help) cat << 'END'
{help}
END
;;
--list-devices) echo 'Available devices:' ;;
*) exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory, llama_server):
    """A program that says what llama-server does, and that it is built for CUDA."""
    said = subprocess.run([llama_server, "--help"], capture_output=True, text=True, check=True)
    path = tmp_path_factory.mktemp("engine") / "llama-server"
    path.write_text(SCRIPT.replace("{help}", said.stdout))
    path.chmod(0o755)
    return path


def lock_for(spec):
    """Pins of every model: a Llama, or the embedder."""
    kinds = lock()["weights"]
    pins = {}
    for model in spec["models"].values():
        kind = "embed" if "nomic" in model["source"] else "llama"
        key = source_key(model["source"], "model", model.get("quantization"))
        pins[key] = {**kinds[f"file:/models/{kind}.gguf"], "source": key}
    return {"schema": 2, "weights": pins, "engines": {}}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("nixos-single-gpu", "nixos"),
        ("nixos-two-gpu", "nixos"),
        ("home-manager", "home-manager"),
    ],
)
def test_an_example_compiles(nix, tmp_path, engine, name, module):
    """No assertion fails, and the build has a unit for each model, without a warning."""
    shutil.copy(TOP / "examples" / name / "llmdecl.nix", tmp_path)
    expression = evaluation(tmp_path / "llmdecl.nix", module, engine)
    said = nix.value(
        f"let it = {expression}; in {{ inherit (it) failed warnings; "
        "inherit (it.services.llmdecl) settings; }"
    )
    assert (said["failed"], said["warnings"]) == ([], [])
    (tmp_path / "llmdecl.lock").write_text(json.dumps(lock_for(said["settings"])))
    built = f"{expression}.services.llmdecl.compiled"
    done = nix.run("nix-build", "--no-out-link", "--expr", built)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    units = {path.name for path in Path(done.stdout.strip()).rglob("*.service")}
    models = {f"llmdecl-model-{model}.service" for model in said["settings"]["models"]}
    assert units == {*models, "llmdecl-router.service", "llmdecl-fetch.service"}


def test_the_example_without_nix_is_a_spec():
    """`examples/debian-systemd` says nothing wrong."""
    loaded = load_spec(TOP / "examples/debian-systemd/llmdecl.toml")
    assert loaded.spec is not None
    assert loaded.diagnostics == ()
