"""What differs between two locks, in words."""

import pytest
from lock_kit import (
    ARCHIVE,
    ORIGIN,
    RECIPE,
    A,
    B,
    built,
    engine,
    facts,
    file,
    full,
    weights,
)
from supply_kit import spec

from llmdecl.facts.model import Flag
from llmdecl.store.changes import compare
from llmdecl.store.model import Lock
from llmdecl.store.wanted import users

SOURCE = "hf:owner/Repo-GGUF#Q4_K_M"
OLD = weights(SOURCE, [file(A, size_bytes=5 << 30)], origin=ORIGIN)


def words(old, new):
    return list(compare(Lock(weights={SOURCE: old}), Lock(weights={SOURCE: new}))[0].reasons)


def engine_words(old, new):
    return list(compare(Lock(engines={"e": old}), Lock(engines={"e": new}))[0].reasons)


def test_nothing():
    """Equal locks differ in nothing."""
    assert compare(full(), full()) == ()


def test_signs():
    """What is new, gone and different has its sign, in the order engines, weights, ports."""
    changes = compare(full(), Lock())
    assert {each.sign for each in changes} == {"-"}
    assert [each.what for each in changes] == [
        "engines.built",
        "engines.nix",
        "engines.path",
        "engines.pypi",
        "file:m.gguf",
        SOURCE,
        "pypi:tiny==1.0/m.gguf",
        "models.m",
    ]
    assert [each.sign for each in compare(Lock(), full())] == ["+"] * 8


def test_new_weights():
    """A new pin says size, parts, revision, licence and digest."""
    change = compare(Lock(), Lock(weights={SOURCE: OLD}), {SOURCE: ("a", "b")})[0]
    assert str(change) == (
        f"+ {SOURCE}  5.0 GiB, revision main 1a2b3c4d5e6f, licence mit, sha256 aaaaaaaaaaaa  (a, b)"
    )


def test_new_weights_at_a_commit():
    """A commit that was asked for is what it is, and said once."""
    commit = ORIGIN.revision
    pinned = OLD.replace(origin=ORIGIN.replace(requested=commit))
    (change,) = compare(Lock(), Lock(weights={SOURCE: pinned}))
    assert "revision 1a2b3c4d5e6f, licence" in str(change)


def test_moved_tag():
    """A branch that moved and brought another file says both revisions, sizes and digests."""
    origin = ORIGIN.replace(revision="4d5e6f" + "0" * 34)
    new = weights(SOURCE, [file(B, size_bytes=6 << 30)], origin=origin)
    assert words(OLD, new) == [
        "revision main 1a2b3c4d5e6f -> 4d5e6f000000",
        "size 5.0 GiB -> 6.0 GiB",
        "sha256 aaaaaaaaaaaa -> bbbbbbbbbbbb",
    ]


def test_moved_tag_same_file():
    """A tag that moved without another file is a change all the same."""
    origin = ORIGIN.replace(revision="4d5e6f" + "0" * 34)
    new = OLD.replace(origin=origin)
    assert words(OLD, new) == ["revision main 1a2b3c4d5e6f -> 4d5e6f000000"]


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            OLD.replace(files=(file(A, size_bytes=(5 << 30) + 1),)),
            "size 5,368,709,120 B -> 5,368,709,121 B",
        ),
        (OLD.replace(origin=ORIGIN.replace(license="apache-2.0")), "licence mit -> apache-2.0"),
        (
            OLD.replace(origin=ORIGIN.replace(base_model=("o/Other",))),
            "base model owner/Repo -> o/Other",
        ),
        (OLD.replace(origin=ORIGIN.replace(gated=True)), "is gated now"),
        (OLD.replace(origin=ORIGIN.replace(requested="v2")), "revision main 1a2b3c4d5e6f -> v2"),
        (OLD.replace(files=(file(A, "n.gguf", size_bytes=5 << 30),)), "file m.gguf -> n.gguf"),
        (OLD.replace(gguf=facts(chat_template_sha256=B)), "has a chat template now"),
        (OLD.replace(gguf=facts(file_type_declared="Q5_K_M")), "quantization Q4_1 -> Q5_K_M"),
        (OLD.replace(gguf=facts(n_params=2)), "parameters 1 -> 2"),
    ],
    ids=lambda each: each[:14] if isinstance(each, str) else "",
)
def test_reasons_of_weights(new, reason):
    """Each thing that differs is said in its words."""
    assert any(each.startswith(reason) for each in words(OLD, new))


def test_licence_of_the_header():
    """Where no publisher says it, licence and base model are the header's; controls are escaped."""
    header = facts(
        parameters={
            "general.license": "mit\x1b[2J",
            "general.base_model.count": 1,
            "general.base_model.0.name": "Base",
        }
    )
    old = weights(SOURCE, header=header)
    new = old.replace(gguf=facts(parameters={"general.license": "other"}))
    assert words(old, new) == ["licence mit\\x1b[2J -> other", "base model Base -> none"]


def test_reasons_of_engines():
    """Versions, options, backends and flags of an engine are told apart."""
    old = engine("path", flags=tuple(Flag(names=(f"--a{n}",)) for n in range(6)))
    new = engine("path", flags=(Flag(names=("--b",)),), backends=("cuda",), version="10500")
    assert engine_words(old, new) == [
        "bin/llama-server (10434) -> bin/llama-server (10500)",
        "backends none -> cuda",
        "new flags --b",
        "lost flags --a0 --a1 --a2 --a3 and 2 more",
    ]
    recipe = RECIPE.replace(
        architectures=("sm_86", "sm_89"),
        options={"GGML_CUDA": "ON", "GGML_NATIVE": "ON"},
        archive=ARCHIVE.replace(sha256=B),
    )
    found = engine_words(built(), built(recipe))
    assert found[:3] == [
        "llama.cpp b10434 cuda sm_86 -> llama.cpp b10434 cuda sm_86 sm_89",
        "archive cccccccccccc -> bbbbbbbbbbbb",
        "GGML_NATIVE OFF -> ON",
    ]


def test_users():
    """A change touches the models that name the source, or that run on the engine."""
    both = {"e": {"kind": "llama.cpp", "provider": "path", "path": "x"}}
    one = spec({"a": "file:m.gguf", "b": {"source": "file:n.gguf", "engine": "e"}}, both)
    assert users(one) == {"file:m.gguf": ("a",), "file:n.gguf": ("b",), "engines.e": ("a", "b")}
    two = spec({"a": {"source": "file:m.gguf", "engine": "f"}}, both | {"f": both["e"]})
    assert users(two) == {"file:m.gguf": ("a",), "engines.e": (), "engines.f": ("a",)}
