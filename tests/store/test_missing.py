"""What a fetch would bring, before it does."""

import pytest
from lock_kit import ORIGIN, built, engine, file, full, weights
from supply_kit import TOOLS, sha256, spec

from llmdecl.cli.views.lock import show_missing
from llmdecl.diagnostics import Failure
from llmdecl.spec.schema import Spec
from llmdecl.store.missing import Missing, free_bytes, missing
from llmdecl.store.model import Lock
from llmdecl.store.remains import Plan, Remains
from llmdecl.store.supply import fetch_stack, lock_stack

ONE, TWO = b"GGUF one", b"GGUF twotwo"
HF = "hf:owner/Repo-GGUF/m-00001-of-00002.gguf"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home in which no other program has anything."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def parts():
    """A lock of a split model on the hub."""
    files = [
        file(sha256(ONE), "m-00001-of-00002.gguf", "m-00001-of-00002.gguf", len(ONE)),
        file(sha256(TWO), "m-00002-of-00002.gguf", "m-00002-of-00002.gguf", len(TWO)),
    ]
    return Lock(weights={HF: weights(HF, files, origin=ORIGIN)})


def adopted(home):
    """One part is in LM Studio's folder."""
    path = home / ".lmstudio" / "models" / "owner" / "Repo-GGUF" / "m-00001-of-00002.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(ONE)
    return path


def test_download(parts, where):
    """All bytes of a network source count, in the store and over the network."""
    size = len(ONE) + len(TWO)
    assert missing(spec({"m": HF}), parts, where) == (Missing(HF, size, size),)


def test_what_others_have(parts, where, home):
    """What another program has by name and size is not counted; all of it is no download."""
    path = adopted(home)
    assert missing(spec({"m": HF}), parts, where) == (
        Missing(HF, len(TWO), len(TWO), "download", 0, "LM Studio"),
    )
    path.with_name("m-00002-of-00002.gguf").write_bytes(TWO)
    assert missing(spec({"m": HF}), parts, where) == (Missing(HF, 0, 0, "adopt", 0, "LM Studio"),)
    raw = spec({"m": HF}).model_dump(mode="json", by_alias=True, exclude_unset=True)
    refused = Spec.model_validate(raw | {"sources": {"adopt": False}})
    assert [each.bytes for each in missing(refused, parts, where)] == [len(ONE) + len(TWO)]


def test_what_arrived(where):
    """What is here of a download that was cut off is not counted again."""
    size = 10 << 20
    key = "a" * 64
    lock = Lock(weights={HF: weights(HF, [file(key, size_bytes=size)], origin=ORIGIN)})
    remains = Remains(
        where.store / "downloads" / key,
        Plan(name="m", sha256=key, size_bytes=size, validator=None, part_bytes=size),
    )
    remains.path.write_bytes(b"x" * (4 << 20))
    remains.close()
    (found,) = missing(spec({"m": HF}), lock, where)
    assert abs(found.arrived_bytes - (4 << 20)) <= 1 << 16
    assert found.bytes + found.arrived_bytes == found.stored_bytes == size


def test_engines(where):
    """An engine of source is built, not brought, until it is there."""
    recipe = built()
    lock = Lock(engines={"built": recipe, "path": engine("path")})
    a_spec = spec(
        {},
        {
            "built": {"kind": "llama.cpp", "provider": "source", "version": "b10434"},
            "path": {"kind": "llama.cpp", "provider": "path", "path": "/x"},
        },
    )
    assert [(each.name, each.way) for each in missing(a_spec, lock, where)] == [
        ("engines.built", "build")
    ]
    (where.store / "engines" / recipe.recipe.folder_name).mkdir(parents=True)
    assert "build" not in {each.way for each in missing(a_spec, lock, where)}


def test_said(capsys):
    """Each line says how; the totals say what is downloaded, what is built, and the room for it."""
    show_missing(
        [
            Missing("a", 3 << 30, 3 << 30),
            Missing("b", 1 << 30, 2 << 30, "download", 1 << 30),
            Missing("c", 0, 0, "link"),
            Missing("d", 0, 0, "adopt", 0, "Ollama"),
            Missing("engines.e", 0, None, "build"),
            Missing("engines.f", 30 << 20, None, "build"),
            Missing("engines.n", 0, None, "nix"),
        ],
        8 << 30,
    )
    assert capsys.readouterr().out.splitlines() == [
        "+ a  download 3.0 GiB, keep 3.0 GiB",
        "+ b  download 1.0 GiB more, 1.0 GiB are here, keep 2.0 GiB",
        "+ c  link to the local file",
        "+ d  use what Ollama has here, once it is verified",
        "+ engines.e  is built by `llmdecl build`",
        "+ engines.f  download 30.0 MiB of source, is built by `llmdecl build`",
        "+ engines.n  comes from Nix, which knows the size",
        "6 to bring, 4.0 GiB to download, 2 to build",
        "8.0 GiB are free where the store is",
    ]
    show_missing([Missing("a", 3 << 30, 3 << 30)], 2 << 30)
    assert (
        "too little room: 3.0 GiB are kept of it, and 2.0 GiB are free" in capsys.readouterr().out
    )


def test_room(tmp_path):
    """The room of a store that does not exist is that of the folder above."""
    assert free_bytes(tmp_path / "a" / "b") > 0


def test_only(tmp_path, where):
    """With names only what they mean is counted and brought; an unknown name is an error."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF" + name.encode())
    both = spec({"a": "file:a.gguf", "b": "file:b.gguf"})
    lock, _ = lock_stack(both, tmp_path, where, None, tools=TOOLS)
    assert [each.name for each in missing(both, lock, where, ["b"])] == ["file:b.gguf"]
    assert fetch_stack(both, lock, tmp_path, where, only=["b"], tools=TOOLS) == ()
    assert [each.name for each in missing(both, lock, where)] == ["file:a.gguf"]
    problems = fetch_stack(both, lock, tmp_path, where, only=["c"], tools=TOOLS)
    assert [each.code for each in problems] == ["LD417"]
    with pytest.raises(Failure):
        missing(both, lock, where, ["c"])


def test_nothing_wanted(where):
    """What is locked and not in the spec is not missing."""
    assert missing(spec({}), full(), where) == ()
