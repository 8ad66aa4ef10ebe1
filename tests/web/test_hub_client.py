"""Whether the stand-in for Hugging Face is one: its own client is the judge."""

import json
import os
import subprocess
import sys
from pathlib import Path

from llmdecl.store.supply import fetch_stack
from tests.web.hub_kit import folders, lock, model, spec
from tests.web.hugging_face import HuggingFace
from tests.web.site_kit import sha256

LARGE = "tiny-Q4_0.gguf"


def test_its_own_client(site, tmp_path, monkeypatch):
    """huggingface_hub reads every answer that llmdecl depends on as it reads the real ones: model
    info, pages of the tree, headers of files, redirects, new names, refusals. What it leaves in its
    cache is adopted, and then nothing is downloaded."""
    home = tmp_path / "home"
    hub = HuggingFace(site)
    files = {LARGE: model(seed=4), "mmproj-F16.gguf": model("mm"), "README.md": b"# hi"}
    files |= {f"dir with space/ü{number}.txt": b"x" for number in range(25)}
    card = {"license": "mit", "base_model": ["acme/base"]}
    repository = hub.add("acme/tiny", files, card=card, page=10)
    repository.branches["refs/pr/3"] = repository.commit
    hub.add("acme/gated", {LARGE: files[LARGE]}, gated="manual", granted=("hf_good",))
    hub.renamed["old/tiny"] = "acme/tiny"
    hub.revoked.add("hf_revoked")
    plain = {"HOME": str(home), "PATH": os.environ["PATH"], "HF_ENDPOINT": site.url}
    # xet has another protocol, which nobody plays here; every file of it has a plain URL, too
    plain |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    script = Path(__file__).with_name("hub_client.py")
    ended = subprocess.run(
        [sys.executable, script], env=plain, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == ended.returncode, ended.stderr
    found = json.loads(ended.stdout)
    digest = sha256(files[LARGE])
    assert [repository.commit] * 2 == found["commit"]
    assert ["mit", ["acme/base"], False] == found["card"]
    assert sorted(files) == found["paths"]
    assert [digest] * 3 == found["digests"]
    assert [len(files[LARGE])] * 2 == found["sizes"]
    assert 1 == len(set(found["xet"]))
    assert repository.commit == found["branch"]
    assert [files[LARGE], files["README.md"]] == [Path(p).read_bytes() for p in found["files"]]
    assert files["mmproj-F16.gguf"] == Path(found["renamed"]).read_bytes()
    assert [True] * 6 == found["refused"]

    for name in [each for each in os.environ if each.startswith(("HF_", "HUGGING", "XDG_CACHE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    source = {"source": "hf:acme/tiny", "quantization": "Q4_0"}
    one = spec(site, {"m": {**source, "mmproj": {"source": "hf:acme/tiny"}}}, adopt=True)
    pinned, problems = lock(one, tmp_path)
    assert () == problems
    assert digest == pinned.weights["hf:acme/tiny#Q4_0"].digest
    site.log.clear()
    assert () == fetch_stack(one, pinned, tmp_path, folders(tmp_path))
    assert [] == site.log
