"""`file:` with `*`: the parts of one model, or one file."""

import pytest
from supply_kit import TOOLS, spec

from llmdecl.facts.gather import gather
from llmdecl.facts.model import Presence
from llmdecl.facts.siblings import others_beside
from llmdecl.sources.file import named
from llmdecl.sources.reference import FileReference
from llmdecl.store.supply import fetch_stack, lock_stack, stale


def put(base, *names):
    for number, name in enumerate(names):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"GGUF" + b"x" * number)


def pinned(base, where, source, previous=None):
    return lock_stack(spec({"m": source}), base, where, previous, tools=TOOLS)


PARTS = ("L-70B-00001-of-00003.gguf", "L-70B-00002-of-00003.gguf", "L-70B-00003-of-00003.gguf")


@pytest.mark.parametrize(
    "source", ["file:L-*-of-*.gguf", "file:*.gguf", "file:L-70B-0000*", "file:./L*00003.gguf"]
)
def test_all_parts(tmp_path, where, source):
    """A pattern that matches all parts of one model means it, whatever else lies there."""
    put(tmp_path, *PARTS, "L-70B.txt", ".L-70B-00001-of-00002.gguf")
    lock, problems = pinned(tmp_path, where, source)
    assert problems == ()
    assert [file.name for file in lock.weights[source].files] == [*PARTS]
    assert fetch_stack(spec({"m": source}), lock, tmp_path, where, tools=TOOLS) == ()
    linked = where.store / "weights" / lock.weights[source].digest
    assert (linked / "model-00003-of-00003.gguf").readlink() == tmp_path / PARTS[2]
    assert stale(spec({"m": source}), lock, tmp_path, where, tools=TOOLS) == ()


def test_one_file(tmp_path, where):
    """One match is that file, in a folder that a `*` stands for, too."""
    put(tmp_path, "v1/model-Q4.gguf")
    lock, problems = pinned(tmp_path, where, "file:v*/model-*.gguf")
    assert problems == ()
    assert [file.name for file in lock.weights["file:v*/model-*.gguf"].files] == ["model-Q4.gguf"]


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a-Q4.gguf", "a-Q5.gguf"), "2 files, which are not parts of one model"),
        ((*PARTS, "a.gguf"), "4 files, which are not parts of one model"),
        ((PARTS[0], PARTS[2]), "2 of 3 parts of a split model"),
        (
            ("a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "b-00001-of-00001.gguf"),
            "3 files, which",
        ),
    ],
)
def test_several(tmp_path, where, names, says):
    """Anything else is refused with what matches, and its sizes."""
    put(tmp_path, *names)
    _, problems = pinned(tmp_path, where, "file:*.gguf")
    assert [each.code for each in problems] == ["LD470"]
    assert says in problems[0].summary
    listed = [f"`{tmp_path / name}`, {4 + n} B" for n, name in enumerate(names)]
    assert {*listed} <= {*problems[0].notes}


def test_many_matches_are_counted(tmp_path, where):
    """A zoo is not listed to its end."""
    put(tmp_path, *(f"{number:03}.gguf" for number in range(40)))
    _, problems = pinned(tmp_path, where, "file:*.gguf")
    assert problems[0].notes[-1] == "and 28 more"


def test_nothing_matches(tmp_path, where):
    """No match is a missing file; a pin stays, with a warning."""
    _, problems = pinned(tmp_path, where, "file:x-*.gguf")
    assert [each.code for each in problems] == ["LD402"]
    put(tmp_path, "x-1.gguf")
    lock, _ = pinned(tmp_path, where, "file:x-*.gguf")
    (tmp_path / "x-1.gguf").unlink()
    kept, problems = pinned(tmp_path, where, "file:x-*.gguf", lock)
    assert kept == lock
    assert [each.code for each in problems] == ["LD418"]
    facts, problems = gather(spec({"m": "file:x-*.gguf"}), lock, where, tmp_path)
    assert facts.weights["file:x-*.gguf"].presence is Presence.MISSING
    assert not [each for each in problems if each.address == "models.m.source"]


def test_another_file_appears(tmp_path, where):
    """What makes a pattern ambiguous later is an error of lock and gather, and makes it stale."""
    put(tmp_path, "x-1.gguf")
    source = "file:x-*.gguf"
    lock, _ = pinned(tmp_path, where, source)
    put(tmp_path, "x-1.gguf", "x-2.gguf")
    assert [each.code for each in pinned(tmp_path, where, source, lock)[1]] == ["LD470"]
    assert [each.sign for each in stale(spec({"m": source}), lock, tmp_path, where, tools=TOOLS)]
    facts, problems = gather(spec({"m": source}), lock, where, tmp_path)
    assert source not in facts.weights
    assert "LD470" in {each.code for each in problems}


def test_a_name_with_a_star(tmp_path):
    """A file of just that name is meant itself; `[` and `?` stand for themselves."""
    put(tmp_path, "a*.gguf", "ab.gguf", "[x]?-1.gguf", "xy-1.gguf")
    assert named(FileReference("a*.gguf"), tmp_path, "").name == "a*.gguf"
    assert named(FileReference("[x]?-*.gguf"), tmp_path, "").name == "[x]?-1.gguf"


def test_other_quantizations_beside_a_pattern(tmp_path, smollm2):
    """What lies beside a model that a pattern names is offered by a name that a spec can have."""
    from llmdecl.facts.gguf import read_gguf

    for name in ("smol-Q4_1.gguf", "smol-Q8_0.gguf"):
        (tmp_path / name).symlink_to(smollm2)
    gguf, _ = read_gguf(smollm2)
    found = others_beside(tmp_path / "smol-Q4_1.gguf", "file:../m/smol-Q4*.gguf", gguf, cache=None)
    assert [each.source for each in found] == ["file:../m/smol-Q8_0.gguf"]
    found = others_beside(tmp_path / "smol-Q4_1.gguf", "file:smol-Q4*.gguf", gguf, cache=None)
    assert [each.source for each in found] == ["file:smol-Q8_0.gguf"]
    assert not others_beside(tmp_path / "smol-Q4_1.gguf", "file:*/smol.gguf", gguf, cache=None)
