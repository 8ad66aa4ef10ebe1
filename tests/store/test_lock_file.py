"""`llmdecl.lock` as a file."""

import errno
import json
import os
from pathlib import Path

import pytest
from supply_kit import TOOLS, spec

from llmdecl.diagnostics import Failure
from llmdecl.store.lock import parse_lock, read_lock, write_lock, written_schema
from llmdecl.store.model import Lock
from llmdecl.store.reasons import licence
from llmdecl.store.supply import lock_stack
from llmdecl.values import to_json


@pytest.fixture
def lock(tmp_path, where):
    """A lock of one file."""
    (tmp_path / "w.gguf").write_bytes(b"GGUF")
    return lock_stack(spec({"m": "file:w.gguf"}), tmp_path, where, None, tools=TOOLS)[0]


def test_round_trip(lock, tmp_path):
    """What is written reads back; nothing lies beside it; the same is not written again."""
    path = tmp_path / "llmdecl.lock"
    write_lock(path, lock)
    assert read_lock(path) == (lock, ())
    before = path.stat()
    write_lock(path, lock)
    assert path.stat().st_ino == before.st_ino
    write_lock(path, Lock())
    assert read_lock(path) == (Lock(), ())
    assert not [*tmp_path.glob("*.new"), *tmp_path.glob(".*.new")]


def test_no_room_for_it(lock, tmp_path, monkeypatch):
    """A lock that can't be written whole is a diagnostic, and the old one stays, alone."""
    path = tmp_path / "llmdecl.lock"
    write_lock(path, Lock())

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for at in (path, tmp_path / "gone" / "llmdecl.lock"):
        with pytest.raises(Failure) as caught:
            write_lock(at, lock)
        assert caught.value.diagnostics[0].code == "LD475"
    assert read_lock(path) == (Lock(), ())
    assert not [*tmp_path.glob(".*.new")]


def test_absent(tmp_path):
    """No lock is no problem here."""
    assert read_lock(tmp_path / "llmdecl.lock") == (None, ())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "LD412"),
        (b"{", "LD412"),
        (b"[]", "LD412"),
        (b"\xff\xfe", "LD412"),
        (b"[" * 100_000, "LD412"),
        (b'{"schema": 1, "more": {}}', "LD412"),
        (b'{\n<<<<<<< HEAD\n"schema": 1\n=======\n>>>>>>> x\n}', "LD412"),
        (b'{"schema": 1, "weights": {"x": 1}}', "LD412"),
        (b'{"schema": 2, "weights": {"x": 1}}', "LD412"),
        (b'{"schema": 0, "weights": {}}', "LD413"),
        (b'{"schema": 3, "weights": {}}', "LD413"),
        (b'{"schema": 3, "other": {}}', "LD413"),
    ],
)
def test_refused(tmp_path, text, code):
    """Whatever else is in the file is a diagnostic."""
    path = tmp_path / "llmdecl.lock"
    path.write_bytes(text)
    lock, problems = read_lock(path)
    assert lock is None
    assert [each.code for each in problems] == [code]


@pytest.mark.parametrize(
    "digest", ["", "../../../etc", "A" * 64, "0" * 63, "/" + "0" * 63, "0" * 64 + "\n"]
)
def test_digests_are_digests(lock, tmp_path, digest):
    """Names in the store are made of digests, so nothing else may stand for one."""
    path = tmp_path / "llmdecl.lock"
    good = lock.weights["file:w.gguf"]
    file = good.files[0].replace(sha256=digest)
    for bad in (good.replace(digest=digest), good.replace(files=(file,)), good.replace(files=())):
        bad_lock = Lock(weights={"file:w.gguf": bad})
        with pytest.raises(Failure) as failure:
            write_lock(path, bad_lock)
        assert [each.code for each in failure.value.diagnostics] == ["LD474"]
        assert not path.exists()
        path.write_bytes(to_json(bad_lock))
        assert [each.code for each in read_lock(path)[1]] == ["LD412"]
        path.unlink()


def test_conflict_has_its_line(tmp_path):
    """The marks of a merge are found by line."""
    path = tmp_path / "llmdecl.lock"
    path.write_bytes(b'{\n  "schema": 1,\n<<<<<<< HEAD\n')
    assert read_lock(path)[1][0].span.line == 3


def test_a_folder(tmp_path):
    """A folder of that name is a diagnostic."""
    assert [each.code for each in read_lock(tmp_path)[1]] == ["LD412"]


def test_schema_1():
    """A lock that llmdecl wrote in schema 1 (flags cut) reads as schema 2 with every pin in it."""
    path = Path(__file__).parent / "data" / "schema-1.lock"
    lock, problems = read_lock(path)
    assert problems == ()
    assert (written_schema(path), lock.schema) == (1, 2)
    old, new = json.loads(path.read_bytes()), json.loads(to_json(lock))
    assert _within(old | {"schema": 2}, new) == []
    for weights in lock.weights.values():
        assert weights.gguf.chat_template_sha256.startswith("872be49d")
        assert licence(weights) == "apache-2.0"
        assert weights.origin is None


def test_schema_1_has_no_later_fields(lock):
    """What schema 1 refused is still refused in it."""
    old = json.loads(to_json(lock))
    old |= {"schema": 1, "more": {}}
    with pytest.raises(ValueError, match="more"):
        parse_lock(json.dumps(old).encode())


def _within(old, new, at="$"):
    """Paths at which `new` lacks or changes what `old` has; more fields in objects are fine."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            path
            for key in old
            for path in (_within(old[key], new[key], f"{at}.{key}") if key in new else [at])
        ]
    return [] if old == new else [at]
