"""A newcomer's way with a real model on a hub: lock, plan, fetch, check."""

import json

import pytest

from llmdecl.cli import run
from tests.web.hugging_face import HuggingFace
from tests.web.site_kit import sha256

SPEC = """\
version = 1

[engines.e]
kind = "llama.cpp"
provider = "path"
path = "{engine}"

[models.m]
source = "hf:acme/smol"
quantization = "Q4_1"
ctx-size = 2048

[endpoints.main]
listen = "127.0.0.1:18080"

[sources]
adopt = false

[sources.hf]
endpoint = "{url}"
"""


@pytest.fixture
def folder(site, llama_server, smollm2, tmp_path, monkeypatch):
    """A spec whose model is on the hub, and the working directory."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for kind in ("STATE", "STORE", "CACHE"):
        monkeypatch.setenv(f"LLMDECL_{kind}_DIR", str(tmp_path / kind.lower()))
    hub = HuggingFace(site)
    hub.add("acme/smol", {smollm2.name: smollm2}, card={"license": "apache-2.0"})
    base = tmp_path / "stack"
    base.mkdir()
    (base / "llmdecl.toml").write_text(SPEC.format(engine=llama_server, url=site.url))
    monkeypatch.chdir(base)
    return base


def test_journey(folder, site, smollm2, tmp_path, capsys):
    """The plan is exact before a byte of the weights is here, and the same afterwards."""
    assert 0 == run(["lock"])
    assert site.sent_bytes() < 3e6
    locked = json.loads((folder / "llmdecl.lock").read_bytes())["weights"]["hf:acme/smol#Q4_1"]
    assert "apache-2.0" == locked["origin"]["license"]
    assert 0 == run(["lock", "--check"])
    capsys.readouterr()
    assert 0 == run(["plan"])
    before = capsys.readouterr().out
    assert "downloads 93.8 MiB" in before
    assert 0 == run(["check"])
    assert 0 == run(["fetch"])
    capsys.readouterr()
    asked = len(site.log)
    assert 0 == run(["plan"])
    after = capsys.readouterr().out
    assert before.replace("downloads 93.8 MiB, then starts", "starts") == after
    assert 0 == run(["fetch"])
    assert asked == len(site.log)
    digest = sha256(smollm2.read_bytes())
    assert (tmp_path / "store/weights" / digest / "model.gguf").is_file()
