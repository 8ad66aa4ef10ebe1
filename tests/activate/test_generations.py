"""Generations are whole or absent, immutable, and found damaged when they are."""

import pytest

from llmdecl.activate import generations as module
from llmdecl.activate.generations import Generations
from llmdecl.activate.observe import absent
from llmdecl.diagnostics import Failure
from llmdecl.paths import folders
from llmdecl.plan.model import WeightsPlan

from .conftest import content, model, stack_plan


@pytest.fixture
def stored(tmp_path):
    return Generations(tmp_path / "state")


def test_equal_content_is_no_new_generation(stored):
    """The same plan is the same generation, whatever comments the spec has."""
    plan = stack_plan(model("smol"))
    assert 1 == stored.write(content(plan)).number
    assert 1 == stored.write(content(plan)).number
    assert 1 == stored.write(content(plan, spec=b"# another comment\n")).number
    assert 2 == stored.write(content(stack_plan(model("smol", ctx=1)))).number
    assert (1, 2) == stored.numbers()


def test_what_is_written_is_what_is_loaded(stored):
    """Plan, lock, spec and artefacts come back; the manifest covers every file."""
    plan = stack_plan(model("smol"))
    one = stored.write(content(plan))
    assert plan == one.plan
    assert () == stored.damage(one)
    assert b"# a test\n" == one.spec_file().read_bytes()
    assert (one.folder / "supervisord" / "models" / "smol.conf").exists()


@pytest.mark.parametrize("name", ["plan.json", "router.json", "supervisord/models/smol.conf"])
def test_damage_is_found(stored, name):
    """An edited, missing or foreign file is named; a damaged generation is not taken for equal."""
    one = stored.write(content(stack_plan(model("smol"))))
    path = one.folder / name
    text = path.read_bytes()
    path.unlink()
    assert (name,) == stored.damage(one)
    path.write_bytes(text + b" ")
    assert (name,) == stored.damage(one)
    with pytest.raises(Failure):
        stored.require_intact(one)
    assert 2 == stored.write(content(stack_plan(model("smol")))).number
    path.write_bytes(text)
    (one.folder / "foreign").touch()
    assert ("foreign",) == stored.damage(one)


def test_a_write_that_breaks_off_leaves_nothing(stored, monkeypatch):
    """Whichever file can't be written: no generation, and the next write is number 1."""
    real, calls = module.write_new, []

    def broken(path, data, *, mode):
        if len(calls) == 3:
            raise OSError(28, "no space left on device", str(path))
        calls.append(path)
        real(path, data, mode=mode)

    monkeypatch.setattr(module, "write_new", broken)
    with pytest.raises(OSError, match="no space"):
        stored.write(content(stack_plan(model("smol"))))
    assert () == stored.numbers()
    monkeypatch.undo()
    assert 1 == stored.write(content(stack_plan(model("smol")))).number
    assert ["1"] == [path.name for path in stored.root.iterdir()]


def test_links_are_relative_and_change_by_rename(stored):
    """`wanted` and `current` name a folder beside them; no link is an answer too."""
    assert stored.pointer("current") is None
    stored.write(content(stack_plan(model("smol"))))
    stored.point("current", 1)
    assert "generations/1" == str((stored.state / "current").readlink())
    assert 1 == stored.pointer("current")
    stored.point("current", None)
    assert stored.load_pointed("current") is None


def test_the_newest_twenty_and_the_pointed_stay(stored):
    """Older ones go, but never what is in force."""
    for number in range(25):
        stored.write(content(stack_plan(model("smol", ctx=number + 1))))
    stored.point("current", 2)
    stored.point("wanted", 3)
    assert (1, 4, 5) == stored.prune()
    assert (2, 3, *range(6, 26)) == stored.numbers()


def test_a_number_that_is_not_there(stored):
    """An unknown generation is a diagnostic."""
    with pytest.raises(Failure) as failure:
        stored.load(7)
    assert ["LD614"] == [d.code for d in failure.value.diagnostics]


def test_a_link_that_leads_nowhere_is_absent(tmp_path):
    """A `file:` source that was moved is linked again, although the plan is the same."""
    places = folders(state=tmp_path / "s", store=tmp_path / "t", cache=tmp_path / "c")
    weights = WeightsPlan(role="model", source="file:a", digest="a" * 64, size_bytes=1)
    plan = stack_plan(model("smol", weights=(weights,)))
    entry = f"weights/{weights.digest}"
    folder = places.store / entry
    assert absent([plan], places) == (entry,)
    folder.mkdir(parents=True)
    assert absent([plan], places) == (entry,)
    (folder / "model.gguf").symlink_to(tmp_path / "a.gguf")
    assert absent([plan], places) == (entry,)
    (tmp_path / "a.gguf").write_bytes(b"x")
    assert absent([plan], places) == ()
